"""Lessons on wiring: model, loss and optimizer that are not connected as they should be."""

from __future__ import annotations

from nndiag.lessons.lesson import Lesson
from nndiag.locales import to_translate as _  # marked here, translated when a lesson is shown

LESSONS = (
    Lesson(
        name="missing-zero-grad",
        title=_("Gradients that are never cleared"),
        what=_(
            "backward() adds to the gradients that are there. Without zero_grad() each step "
            "follows the sum of all gradients so far: momentum without forgetting, which "
            "overshoots, swings, and often diverges. Clearing every k steps on purpose is gradient "
            "accumulation."
        ),
        formula=_("step t follows g_1 + g_2 + ... + g_t instead of g_t"),
        look=_("Gradients that are not 0 before backward(), and a norm that grows in line with t."),
        commands=("nndiag diagnose train.py", "nndiag descent"),
        papers=("PyTorch documentation: Optimizer.zero_grad",),
        aliases=("zero grad", "zero_grad", "gradients jamais remis à zéro", "remise à zéro"),
        see=("gradient-descent", "learning-rate-too-high"),
    ),
    Lesson(
        name="untrained-parameters",
        title=_("Parameters that are not trained"),
        what=_(
            "A parameter changes only if the model has registered it, a gradient reaches it and an "
            "optimizer holds it. Layers kept in a plain list, a detach(), a frozen flag that was "
            "forgotten, a head replaced after the optimizer was made, or no step() at all: the "
            "loss still falls a little, as the other layers make up for it."
        ),
        formula=_("w <- w - lr dL/dw needs: w in the optimizer, requires_grad, a path from L to w"),
        look=_("Layers with update 0, and which of the three conditions fails for them."),
        commands=("nndiag diagnose train.py", "nndiag backprop"),
        papers=(
            "PyTorch documentation: Module.parameters, nn.ModuleList",
            "Yosinski et al. 2014 (freezing on purpose)",
        ),
        aliases=("frozen", "untrained", "paramètres non entraînés", "couches gelées", "gel"),
        see=("transfer-learning", "backpropagation"),
    ),
    Lesson(
        name="loss-output-mismatch",
        title=_("Loss and output that do not fit"),
        what=_(
            "cross_entropy applies its own log-softmax and expects raw scores; with a softmax "
            "before it the loss cannot fall below a floor and its gradient is flattened. "
            "binary_cross_entropy wants probabilities, nll_loss log-probabilities. A target of "
            "shape (N, 1) against an output of shape (N) is broadcast to N x N pairs without a "
            "word beyond a warning."
        ),
        formula=_("softmax twice, K classes: loss >= ln(1 + (K - 1) / e)  (K = 10: 1.461)"),
        look=_(
            "What stands between the last layer and the loss, and whether the loss meets a floor."
        ),
        commands=("nndiag diagnose train.py", "nndiag losses"),
        papers=(
            "PyTorch documentation: CrossEntropyLoss, BCEWithLogitsLoss",
            "Goodfellow, Bengio & Courville 2016, section 6.2.2",
        ),
        aliases=(
            "double softmax",
            "softmax twice",
            "wrong loss",
            "double softmax avant la perte",
            "perte et sortie incompatibles",
        ),
        see=("losses", "stalled-loss"),
    ),
    Lesson(
        name="wrong-mode",
        title=_("Training in the wrong mode"),
        what=_(
            "Dropout and batch normalisation act differently in training and in evaluation. "
            "eval() left on trains with frozen statistics and without dropout; a forgotten eval() "
            "evaluates with random units missing, and lets the samples of a batch change each "
            "other's answers. Batches of one or two samples leave BatchNorm next to no statistics."
        ),
        formula=_("train: x^ = (x - mean_B) / sqrt(var_B + eps);  eval: running mean and variance"),
        look=_("How many training passes ran in evaluation mode, and the other way round."),
        commands=(
            "nndiag diagnose train.py",
            "nndiag gradients --act sigmoid --norm batch --batch-size 4",
        ),
        papers=(
            "Ioffe & Szegedy 2015",
            "Wu & He 2018 (Group Normalization)",
            "PyTorch documentation: Module.train, Module.eval",
        ),
        aliases=("eval mode", "train mode", "mode évaluation", "mauvais mode"),
        see=("batch-normalisation", "dropout"),
    ),
    Lesson(
        name="wrong-direction",
        title=_("Training in the wrong direction"),
        what=_(
            "A loss with the wrong sign, a likelihood that is minimised, maximize=True or a "
            "negative rate: each step makes the model worse, as reliably as it should make it "
            "better. The accuracy falls below chance, which noise cannot do for long."
        ),
        formula=_("L(w + d) - L(w) ~ g . d:  below 0 for d = -lr g, above 0 for d = +lr g"),
        look=_("The scalar product of step and gradient, and an accuracy below chance."),
        commands=("nndiag diagnose train.py", "nndiag losses"),
        papers=("PyTorch documentation: torch.optim (maximize)",),
        aliases=("gradient ascent", "wrong sign", "montée de gradient", "mauvais signe"),
        see=("gradient-descent", "losses"),
    ),
    Lesson(
        name="backpropagation",
        title=_("Backpropagation"),
        what=_(
            "The chain rule, applied from the loss backwards: each layer multiplies the signal "
            "that arrives by the slope of its activation, adds it into its weights' gradient "
            "times its own input, and passes it through its weights. All derivatives cost about as "
            "much as two forward passes. A product of many factors is what vanishes or explodes."
        ),
        formula="delta_l = phi'(z_l) * W_(l+1)^T delta_(l+1);  dL/dW_l = delta_l a_(l-1)^T;  "
        "sigmoid: phi' <= 0.25, ten layers 0.25^10 = 9.5e-7",
        look=_("The same derivative by hand, by autograd and by finite differences."),
        commands=("nndiag backprop", "nndiag backprop --act relu --depth 20"),
        papers=(
            "Rumelhart, Hinton & Williams 1986",
            "Baydin et al. 2018 (automatic differentiation)",
        ),
        aliases=(
            "backprop",
            "chain rule",
            "autograd",
            "rétropropagation",
            "rétropropagation du gradient",
            "règle de la chaîne",
        ),
        see=("vanishing-gradients", "gradient-descent"),
    ),
    Lesson(
        name="losses",
        title=_("Losses and their gradients"),
        what=_(
            "What a network learns from a sample is the derivative of the loss by its scores. For "
            "cross-entropy that is simply p - y: large when wrong. Squared error through a sigmoid "
            "carries the slope p (1 - p) too, which is nearly 0 when the unit is confidently "
            "wrong, so it stalls. For regression, Huber's loss limits the pull of outliers."
        ),
        formula=_("cross-entropy: p - y;  MSE with sigmoid: 2 (p - y) p (1 - p) <= 8/27"),
        look=_("Steps from a confidently wrong start to 95 %, by loss."),
        commands=("nndiag losses", "nndiag losses --start -4"),
        papers=(
            "Goodfellow, Bengio & Courville 2016, section 6.2",
            "Huber 1964",
            "Glorot & Bengio 2010, section 4.1",
        ),
        aliases=(
            "loss",
            "cross entropy",
            "mse",
            "bce",
            "softmax",
            "huber",
            "entropie croisée",
            "fonction de perte",
            "fonctions de perte",
            "erreur quadratique",
        ),
        see=("loss-output-mismatch", "saturated-activations"),
    ),
    Lesson(
        name="perceptron",
        title=_("The perceptron: one neuron"),
        what=_(
            "A weighted sum, a bias and an activation: one neuron cuts its inputs by a straight "
            "line. The perceptron rule finds such a line in a bounded number of updates if there "
            "is one. XOR has none: two layers are needed."
        ),
        formula="a = phi(w . x + b);  W = (4, -2), b = 1: sigmoid(-7) = 0.00091 at (-1, 2)",
        look=_("Updates against Novikoff's bound, the cycle on XOR, and the boundary."),
        commands=("nndiag perceptron", "nndiag perceptron --learn nand,xnor"),
        papers=("Rosenblatt 1958", "Novikoff 1962", "Minsky & Papert 1969"),
        aliases=("neuron", "xor", "linear classifier", "neurone"),
        see=("decision-boundary", "backpropagation"),
    ),
)
