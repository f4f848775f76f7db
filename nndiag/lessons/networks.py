"""Lessons on networks: their parts and their shapes."""

from __future__ import annotations

from nndiag.lessons.lesson import Lesson
from nndiag.locales import to_translate as _  # marked here, translated when a lesson is shown

LESSONS = (
    Lesson(
        name="initialisation",
        title=_("Initialisation of the weights"),
        what=_(
            "The first weights decide whether signal and gradient keep their size through the "
            "layers. Xavier keeps both for activations that are linear near 0, He for ReLU, which "
            "drops half of the signal; LeCun goes with SELU. PyTorch's default for linear layers "
            "has only a third of LeCun's variance. Zeros or constants leave all units of a layer "
            "alike."
        ),
        formula=_(
            "Var[w]: Xavier 2 / (n_in + n_out), He 2 / n_in, LeCun 1 / n_in, "
            "PyTorch's Linear 1 / (3 n_in)"
        ),
        look=_("The standard deviation of the activations and the gradient norm, layer by layer."),
        commands=(
            "nndiag gradients --act relu --init he_normal",
            "nndiag gradients --act relu --init torch",
        ),
        papers=(
            "LeCun et al. 1998 (Efficient BackProp)",
            "Glorot & Bengio 2010",
            "He et al. 2015",
        ),
        aliases=(
            "init",
            "initialization",
            "xavier",
            "glorot",
            "he",
            "kaiming",
            "lecun",
            "compare-inits",
            "initialisation des poids",
        ),
        see=("signal-propagation", "symmetric-units", "activations"),
    ),
    Lesson(
        name="activations",
        title=_("Activation functions"),
        what=_(
            "Without them a deep network is one linear map. Sigmoid's slope is at most 0.25 and "
            "its outputs are not centred; tanh is centred and saturates; ReLU keeps the slope 1 on "
            "one side and is off on the other; leaky ReLU, ELU and SELU keep a gradient there. An "
            "activation and its initialisation are a pair: changing one alone often cures nothing."
        ),
        formula="max phi': sigmoid 0.25, tanh 1, relu 1;  critical s_w^2: relu 2, tanh 1 (s_b = 0)",
        look=_(
            "Factor a layer, saturated and dead shares, for each activation with its own "
            "initialisation."
        ),
        commands=("nndiag gradients --act tanh", "nndiag gradients --act relu"),
        papers=(
            "Glorot, Bordes & Bengio 2011",
            "He et al. 2015",
            "Klambauer et al. 2017 (SELU)",
        ),
        aliases=(
            "activation",
            "sigmoid",
            "tanh",
            "relu",
            "leaky relu",
            "selu",
            "elu",
            "gelu",
            "compare-activations",
            "fonction d'activation",
            "fonctions d'activation",
        ),
        see=("saturated-activations", "dead-units", "decision-boundary"),
    ),
    Lesson(
        name="batch-normalisation",
        title=_("Batch normalisation"),
        what=_(
            "Each unit is centred and scaled by the mean and variance of the batch, then given a "
            "learnt scale and shift. A layer's scale no longer depends on its weights, so sigmoid "
            "nets train at depth 20 and rates may be larger. It makes the loss smoother; the first "
            "explanation, covariate shift, has not held up. It is no universal cure: without skip "
            "connections the gradient grows at initialisation, with ReLU by 1.21 a layer."
        ),
        formula="y = gamma (x - mean_B) / sqrt(var_B + eps) + beta;  "
        "chi_BN(relu) = pi / (pi - 1) = 1.467 on the square",
        look=_("The factor a layer with it and without, and what happens at depth 100."),
        commands=(
            "nndiag gradients --act sigmoid --norm batch",
            "nndiag gradients --act relu --norm batch --depth 100",
        ),
        papers=("Ioffe & Szegedy 2015", "Santurkar et al. 2018", "Yang et al. 2019"),
        aliases=(
            "batchnorm",
            "batch normalization",
            "bn",
            "normalisation par lot",
            "normalisation par lots",
        ),
        see=("layer-normalisation", "wrong-mode", "vanishing-gradients"),
    ),
    Lesson(
        name="layer-normalisation",
        title=_("Layer normalisation"),
        what=_(
            "The units of a layer are normalised over the layer, each sample by itself. It does "
            "not need a batch and acts alike in training and evaluation, which suits recurrent "
            "nets and transformers, small batches and sequences of any length."
        ),
        formula="y = gamma (x - mean_units) / sqrt(var_units + eps) + beta",
        look=_("The factor a layer beside that of batch normalisation."),
        commands=(
            "nndiag gradients --act sigmoid --norm layer",
            "nndiag gradients --act relu --norm layer --batch-size 2",
        ),
        papers=("Ba, Kiros & Hinton 2016", "Wu & He 2018 (Group Normalization)"),
        aliases=("layernorm", "layer normalization", "normalisation par couche"),
        see=("batch-normalisation",),
    ),
    Lesson(
        name="residual-connections",
        title=_("Residual connections"),
        what=_(
            "A block that adds its input to its output hands the gradient on unchanged, besides "
            "what passes through its weights: depth no longer multiplies a factor far below 1. "
            "The sum makes the signal grow with depth unless it is normalised or scaled."
        ),
        formula="x_(l+1) = x_l + F(x_l);  dL/dx_l = (I + F'(x_l))^T dL/dx_(l+1)",
        look=_("The factor a layer with --residual and without."),
        commands=(
            "nndiag gradients --act sigmoid --residual",
            "nndiag gradients --act tanh --depth 100 --width 64 --residual",
        ),
        papers=("He et al. 2016 (ResNet)", "Balduzzi et al. 2017 (Shattered Gradients)"),
        aliases=(
            "residual",
            "resnet",
            "skip connections",
            "connexions résiduelles",
            "connexion résiduelle",
        ),
        see=("vanishing-gradients", "depth-and-width"),
    ),
    Lesson(
        name="depth-and-width",
        title=_("Depth and width"),
        what=_(
            "Depth composes functions, width adds them. Deeper networks can express more with as "
            "many weights and are harder to train; narrow ones pass the signal by luck: its "
            "fluctuation grows with the sum of 1 / width over the layers, so a bottleneck costs "
            "more than it saves."
        ),
        formula="Var[ln |h_L|^2] ~ 5 sum_l 1 / n_l  (ReLU, He)",
        look=_("The interval of the gradient norms over seeds: wide for deep and narrow networks."),
        commands=(
            "nndiag gradients --act relu --init he_normal --depth 50 --width 16",
            "nndiag gradients --act relu --init he_normal --depth 50 --width 256",
        ),
        papers=("Telgarsky 2016", "Hanin & Rolnick 2018", "Hanin & Nica 2020"),
        aliases=(
            "depth",
            "width",
            "compare-shapes",
            "shape",
            "capacity",
            "profondeur",
            "largeur",
            "capacité",
        ),
        see=("signal-propagation", "underfitting"),
    ),
    Lesson(
        name="decision-boundary",
        title=_("Decision boundaries, layer by layer"),
        what=_(
            "Each layer bends the plane until a straight cut of the last one separates the "
            "classes; drawn back in the input, that cut is a curve. Without activation functions "
            "every layer is affine, so is their composition, and the boundary stays a line, "
            "however deep the network."
        ),
        formula="W_L (... (W_1 x + b_1) ...) + b_L = W x + b,  W = W_L ... W_1",
        look=_("The grid after each layer, and the accuracy a straight line reaches there."),
        commands=("nndiag boundary", "nndiag boundary --data xor --depth 3"),
        papers=("Cybenko 1989", "Montufar et al. 2014", "Olah 2014"),
        aliases=(
            "boundary",
            "linear network",
            "frontière de décision",
            "frontière",
        ),
        see=("perceptron", "activations"),
    ),
    Lesson(
        name="recurrent-networks",
        title=_("Recurrent networks: RNN, LSTM, GRU"),
        what=_(
            "A recurrent network multiplies by the same matrix at every time step, so its gradient "
            "through time vanishes or explodes like that of a very deep network with tied weights. "
            "The gates of LSTM and GRU give the state a path on which it is only multiplied by a "
            "gate near 1. Clipping handles the explosion."
        ),
        formula=_("dh_T/dh_t = prod_(s > t) diag(phi'(z_s)) U;  vanishes if |U| max phi' < 1"),
        look=_("The gradient by time step: first over last."),
        commands=("nndiag gradients --net rnn", "nndiag gradients --net lstm"),
        papers=(
            "Hochreiter & Schmidhuber 1997",
            "Bengio, Simard & Frasconi 1994",
            "Cho et al. 2014 (GRU)",
        ),
        aliases=("rnn", "lstm", "gru", "réseaux récurrents", "réseau récurrent"),
        see=("gradient-clipping", "vanishing-gradients", "exploding-gradients"),
    ),
    Lesson(
        name="convolutional-networks",
        title=_("Convolutional networks"),
        what=_(
            "One small filter slides over the image: few weights, and a pattern is found wherever "
            "it is. For initialisation the fan-in is channels times filter size. Signal "
            "propagation is as in dense networks; a thousand plain layers train from the right "
            "start."
        ),
        formula="n_in = channels k^2;  He: Var[w] = 2 / (channels k^2)",
        look=_("The factor a layer of a plain CNN beside that of an MLP."),
        commands=(
            "nndiag gradients --net cnn --depth 10",
            "nndiag gradients --net cnn --depth 10 --init torch",
        ),
        papers=("LeCun et al. 1998 (Gradient-based learning)", "Xiao et al. 2018"),
        aliases=("cnn", "convolution", "conv", "réseaux convolutifs", "réseau convolutif"),
        see=("initialisation", "transfer-learning"),
    ),
)
