"""Lessons on the signal: what happens to activations and gradients from layer to layer."""

from __future__ import annotations

from nndiag.lessons.lesson import Lesson
from nndiag.locales import to_translate as _  # marked here, translated when a lesson is shown

LESSONS = (
    Lesson(
        name="vanishing-gradients",
        title=_("Vanishing gradients"),
        what=_(
            "The gradient reaches a layer through all layers above it, and each multiplies it by "
            "its weights and by the slope of its activation. Where that factor is below 1, the "
            "signal shrinks exponentially with depth: the first layers hardly learn, and no "
            "learning rate suits all layers at once. For sigmoid the slope is at most 0.25."
        ),
        formula="|delta_l| = |delta_L| chi^((L - l) / 2),  chi = s_w^2 E[phi'(z)^2] < 1",
        look=_(
            "The gradient norm of each layer's output (the bars), its factor a layer and the ratio "
            "first to last layer. The gradient of the weights can look level while this signal "
            "dies: do not judge by it alone."
        ),
        commands=(
            "nndiag gradients --depth 20 --act sigmoid",
            "nndiag compare-fixes --problem vanishing",
        ),
        papers=(
            "Hochreiter 1991",
            "Bengio, Simard & Frasconi 1994",
            "Glorot & Bengio 2010",
            "Schoenholz et al. 2017",
        ),
        aliases=(
            "vanishing gradient",
            "vanishing",
            "compare-fixes",
            "gradient evanescent",
            "évanescence du gradient",
            "évanescence des gradients",
            "disparition du gradient",
            "disparition des gradients",
        ),
        see=("initialisation", "batch-normalisation", "signal-propagation"),
    ),
    Lesson(
        name="exploding-gradients",
        title=_("Exploding gradients"),
        what=_(
            "Where the factor a layer (or a time step) is above 1, the gradient grows "
            "exponentially towards the input: one step throws the weights away, and the loss leaps "
            "or becomes NaN. Weights that are too large are the usual cause; recurrent networks "
            "reach it during training."
        ),
        formula=_(
            "|delta_l| = |delta_L| chi^((L - l) / 2),  chi > 1;  clipping: g <- g min(1, c / |g|)"
        ),
        look=_(
            "The factor a layer above 1, and the norm of the gradient before clipping over the "
            "steps. Clipping stops the divergence; it does not make a bad initialisation good."
        ),
        commands=(
            "nndiag gradients --act relu --init normal",
            "nndiag compare-fixes --problem rnn-exploding",
        ),
        papers=("Pascanu, Mikolov & Bengio 2013", "He et al. 2015", "Poole et al. 2016"),
        aliases=(
            "exploding gradient",
            "exploding",
            "explosion du gradient",
            "explosion des gradients",
        ),
        see=("gradient-clipping", "initialisation", "non-finite"),
    ),
    Lesson(
        name="saturated-activations",
        title=_("Saturated activations"),
        what=_(
            "Far from 0, sigmoid and tanh are flat: their slope is nearly 0, so a saturated unit "
            "passes no gradient on and does not learn. Large weights or unscaled inputs put units "
            "there. In deep sigmoid networks the last hidden layer saturates first."
        ),
        formula="P(|tanh z| > t) = 2 Phi(-artanh(t) / sqrt(q)),  z ~ N(0, q)",
        look=_(
            "The column of the saturated share: the outputs whose slope is below 5 % of the "
            "steepest one. A few percent are normal; more than half of a layer is not."
        ),
        commands=(
            "nndiag gradients --act tanh --init normal",
            "nndiag compare-fixes --problem saturation",
        ),
        papers=("Glorot & Bengio 2010", "LeCun et al. 1998 (Efficient BackProp)"),
        aliases=("saturation", "saturated", "activations saturées", "unités saturées"),
        see=("activations", "unnormalised-input", "initialisation"),
    ),
    Lesson(
        name="dead-units",
        title=_("Dead units"),
        what=_(
            "A ReLU that is negative for every sample has gradient 0 on every sample: nothing "
            "moves it any more. A rate that is too high or a negative bias kills units in "
            "training; narrow and deep networks can be born dead. That about half of the "
            "(sample, unit) pairs are off is normal and no sign of it."
        ),
        formula=_("P(born dead) <= 1 - (1 - 2^-N)^(L - 1),  L - 1 hidden layers of N units"),
        look=_(
            "The dead share counts units that are off on all samples seen; the off share counts "
            "pairs of sample and unit, and 50 % of it is healthy."
        ),
        commands=(
            "nndiag gradients --depth 30 --width 4 --act relu --init he_normal",
            "nndiag compare-fixes --problem dying-relu",
        ),
        papers=("Lu et al. 2019 (Dying ReLU)", "Maas, Hannun & Ng 2013 (leaky ReLU)"),
        aliases=(
            "dying relu",
            "dead relu",
            "dead neurons",
            "relu mourant",
            "neurones morts",
            "unités mortes",
        ),
        see=("activations", "learning-rate-too-high"),
    ),
    Lesson(
        name="symmetric-units",
        title=_("Symmetric units"),
        what=_(
            "Units of a layer that start with the same weights get the same gradient and stay the "
            "same for ever: the layer acts as a single unit, however wide it is. Zeros or any "
            "other constant do this; random weights break the symmetry. Biases may start at 0."
        ),
        formula="w_i = w_j, v_i = v_j  =>  dL/dw_i = dL/dw_j  at every step",
        look=_(
            "The finding names the layers whose units repeat the first one; with zeros even the "
            "gradient of the hidden layers is 0."
        ),
        commands=(
            "nndiag gradients --init zeros",
            "nndiag compare-fixes --problem symmetry",
        ),
        papers=("Goodfellow, Bengio & Courville 2016, section 8.4",),
        aliases=("symmetry", "zero initialisation", "symétrie", "unités symétriques"),
        see=("initialisation",),
    ),
    Lesson(
        name="non-finite",
        title=_("NaN and infinity"),
        what=_(
            "One NaN or infinity in the loss, a weight or an input spreads to everything with the "
            "next step, and comparisons with NaN are all false, so that careless checks pass. "
            "Causes: a rate or gradient that explodes, a logarithm or division of 0, an "
            "exponential that overflows, missing values in the data."
        ),
        formula="exp(z) > 3.4e38  for z > 88.7 (float32);  "
        "log softmax(z)_k = z_k - m - log sum exp(z - m),  m = max z",
        look=_(
            "The first step and the first layer that are not finite: what comes later only follows."
        ),
        commands=(
            "nndiag gradients --act relu --init normal --depth 60 --width 64",
            "nndiag diagnose train.py",
        ),
        papers=(
            "Goodfellow, Bengio & Courville 2016, section 4.1",
            "Pascanu, Mikolov & Bengio 2013",
        ),
        aliases=("nan", "inf", "infinity", "overflow", "infini", "valeurs non finies"),
        see=("exploding-gradients", "learning-rate-too-high", "losses"),
    ),
    Lesson(
        name="signal-propagation",
        title=_("Signal propagation (mean field)"),
        what=_(
            "In a wide network at initialisation every pre-activation is a Gaussian, and its "
            "variance follows a recursion from layer to layer. The same integrals give the factor "
            "of the gradient. At chi = 1 (the edge of chaos) signals travel deep; away from it "
            "only about 6 xi layers can be trained."
        ),
        formula="q_(l+1) = s_w^2 E[phi(sqrt(q_l) z)^2] + s_b^2;  "
        "chi = s_w^2 E[phi'(sqrt(q) z)^2];  xi = 1 / |ln chi|",
        look=_(
            "Measured factors beside the predicted ones, and the depth scale xi in the reading."
        ),
        commands=(
            "nndiag gradients --act tanh --init normal:0.1 --depth 30",
            "nndiag gradients --act relu --init he_normal --depth 30",
        ),
        papers=("Poole et al. 2016", "Schoenholz et al. 2017", "Yang et al. 2019"),
        aliases=(
            "mean field",
            "edge of chaos",
            "champ moyen",
            "propagation du signal",
            "theory",
            "gradients",
        ),
        see=("initialisation", "vanishing-gradients", "dynamical-isometry"),
    ),
    Lesson(
        name="dynamical-isometry",
        title=_("Dynamical isometry: orthogonal weights"),
        what=_(
            "Gaussian and orthogonal weights of the same variance have the same average factor a "
            "layer, but not the same spread: the product of many Gaussian matrices flattens almost "
            "all directions. Orthogonal weights with tanh keep all singular values near 1, and "
            "plain networks of a thousand layers train. ReLU cannot reach it."
        ),
        formula=_(
            "Var[s^2] / E[s^2]^2 = L (mu_2 / mu_1^2 - 1 - s_1),  s_1 = -1 Gaussian, 0 orthogonal"
        ),
        look=_(
            "Accuracy against depth by method: the same factor a layer, and only orthogonal "
            "weights go deep."
        ),
        commands=(
            "nndiag depth-limit",
            "nndiag gradients --depth 200 --width 64 --act tanh --init orthogonal",
        ),
        papers=(
            "Saxe, McClelland & Ganguli 2013",
            "Pennington, Schoenholz & Ganguli 2017",
            "Xiao et al. 2018",
        ),
        aliases=(
            "isometry",
            "orthogonal",
            "depth-limit",
            "isométrie dynamique",
            "poids orthogonaux",
        ),
        see=("signal-propagation", "initialisation"),
    ),
)
