"""Lessons on generalisation: what a network knows beyond the samples it was trained on."""

from __future__ import annotations

from nndiag.lessons.lesson import Lesson
from nndiag.locales import to_translate as _  # marked here, translated when a lesson is shown

LESSONS = (
    Lesson(
        name="overfitting",
        title=_("Overfitting"),
        what=_(
            "The network learns its samples by heart: the training loss goes on falling while the "
            "validation loss turns. The variance is too high: another training set would give "
            "another function. More data, augmentation, weight decay, dropout or stopping at the "
            "turn help, in about this order."
        ),
        formula=_("gap = L_validation - L_train;  test MSE = variance + bias^2 + noise"),
        look=_("The validation loss where it turns, and the gap to the training loss."),
        commands=("nndiag bias-variance", "nndiag learning-curve"),
        papers=(
            "Geman, Bienenstock & Doursat 1992",
            "Prechelt 1998 (Early Stopping)",
            "Zhang et al. 2017 (Rethinking generalization)",
        ),
        aliases=("overfit", "surapprentissage", "sur-apprentissage", "surajustement"),
        see=("bias-variance", "regularisation", "early-stopping"),
    ),
    Lesson(
        name="underfitting",
        title=_("Underfitting"),
        what=_(
            "Training and validation are both bad, and close together: the model cannot express "
            "the function, or the optimisation does not find it. More data do not help; more "
            "capacity, a better rate or longer training do. Tell the two apart by trying to learn "
            "ten samples by heart."
        ),
        formula=_("bias^2 = E_x (E_D f_D(x) - f(x))^2  dominates the error"),
        look=_("Training accuracy far from 100 % and no gap to validation."),
        commands=(
            "nndiag bias-variance --values 1,2,3",
            "nndiag learning-curve --width 2",
        ),
        papers=("Geman, Bienenstock & Doursat 1992", "Goodfellow, Bengio & Courville 2016, 5.2"),
        aliases=("underfit", "sous-apprentissage", "sous-ajustement"),
        see=("bias-variance", "learning-curve", "stalled-loss"),
    ),
    Lesson(
        name="bias-variance",
        title=_("Bias and variance"),
        what=_(
            "The expected squared error of a model has three parts: how far its average over "
            "training sets is from the truth (bias), how much it changes with the training set "
            "(variance), and the noise of the targets, which nothing removes. More capacity lowers "
            "bias and raises variance, though far beyond the data's size the variance can fall "
            "again (double descent). For 0-1 loss variance can even help, where the model is "
            "biased."
        ),
        formula="E (y - f_D(x))^2 = (E f_D - f)^2 + E (f_D - E f_D)^2 + sigma^2;  "
        "0-1 loss: E L = c1 N + B + c2 V",
        look=_("The complexity curve: bias falls, variance rises, their sum has a valley."),
        commands=("nndiag bias-variance", "nndiag bias-variance --task classification"),
        papers=(
            "Geman, Bienenstock & Doursat 1992",
            "Domingos 2000",
            "Belkin et al. 2019 (double descent)",
        ),
        aliases=(
            "bias",
            "variance",
            "double descent",
            "biais-variance",
            "biais et variance",
            "biais",
            "compromis biais-variance",
        ),
        see=("overfitting", "underfitting", "learning-curve"),
    ),
    Lesson(
        name="learning-curve",
        title=_("Learning curves: more data or more capacity?"),
        what=_(
            "Train on more and more of the data. Training accuracy falls and validation accuracy "
            "rises towards a common level. A gap that still closes calls for more data; two curves "
            "that have met too low call for a larger or better trained model. Validation error "
            "often falls as a power of the number of samples."
        ),
        formula="error(n) ~ a n^(-b) + c",
        look=_("The gap at the largest size and the slope of the validation curve there."),
        commands=("nndiag learning-curve", "nndiag learning-curve --width 4"),
        papers=("Cortes et al. 1994", "Hestness et al. 2017"),
        aliases=("courbe d'apprentissage", "courbes d'apprentissage", "training set size"),
        see=("bias-variance", "data-split"),
    ),
    Lesson(
        name="regularisation",
        title=_("Regularisation: L1, L2, weight decay"),
        what=_(
            "A penalty on the size of the weights prefers simple functions. L2 pulls every weight "
            "in proportion to itself, L1 by a constant, which leaves many at exactly 0. For plain "
            "SGD the L2 penalty and weight decay are the same; for Adam they are not, as the "
            "penalty's gradient is rescaled with the rest: AdamW decays apart."
        ),
        formula=_("L + (lambda / N) sum_l |W_l|_F^2;  decoupled: w <- (1 - lr lambda) w - step"),
        look=_("Gap between training and validation, norm of the weights, share of weights at 0."),
        commands=(
            "nndiag compare-regularizers",
            "nndiag compare-optimizers --optimizers adam,adamw",
        ),
        papers=(
            "Krogh & Hertz 1992",
            "Tibshirani 1996 (lasso)",
            "Loshchilov & Hutter 2019 (AdamW)",
        ),
        aliases=(
            "regularization",
            "weight decay",
            "l1",
            "l2",
            "ridge",
            "lasso",
            "compare-regularizers",
            "régularisation",
            "dégradation des pondérations",
        ),
        see=("overfitting", "dropout", "early-stopping"),
    ),
    Lesson(
        name="dropout",
        title=_("Dropout"),
        what=_(
            "Each training pass leaves out a random part of the units, so none can rely on "
            "another; evaluation uses all of them. The inverted form divides by 1 - p while "
            "training, so "
            "that the expected output is the same and evaluation needs no change. Before BatchNorm "
            "it shifts the variance; SELU needs its own form."
        ),
        formula=_("train: m x / (1 - p), m ~ Bernoulli(1 - p);  E = x;  eval: x"),
        look=_("Training accuracy falls, validation accuracy rises: the gap closes."),
        commands=(
            "nndiag compare-regularizers --regularizers dropout",
            "nndiag gradients --depth 5 --act relu --dropout 0.5 --train 60",
        ),
        papers=("Srivastava et al. 2014", "Tompson et al. 2015 (spatial dropout)"),
        aliases=("inverted dropout", "spatial dropout", "abandon", "décrochage"),
        see=("overfitting", "wrong-mode", "regularisation"),
    ),
    Lesson(
        name="early-stopping",
        title=_("Early stopping"),
        what=_(
            "Watch the validation loss, keep the best weights, and stop when it has not improved "
            "for a while (patience). The number of steps is a capacity like any other: it limits "
            "how far the weights travel from their start. The validation split has then been used "
            "for a choice; only the test split is still clean."
        ),
        formula=_(
            "stop at t when  min L_val(t - p + 1 .. t) >= min L_val(1 .. t - p) - min_delta  "
            "(patience p)"
        ),
        look=_("The step of the best validation loss, and how much is lost by going on."),
        commands=(
            "nndiag bias-variance --axis epochs",
            "nndiag gradients --depth 3 --act relu --train 90",
        ),
        papers=("Prechelt 1998 (Early Stopping - But When?)",),
        aliases=("patience", "arrêt précoce", "arrêt anticipé"),
        see=("overfitting", "data-split"),
    ),
    Lesson(
        name="hyper-parameters",
        title=_("Searching hyper-parameters"),
        what=_(
            "Learning rates live on a logarithmic scale. Random search covers the axis that "
            "matters better than a grid of as many points; successive halving spends the budget on "
            "what looks good early. Repeat over seeds before a difference is believed, and choose "
            "by validation, never by test."
        ),
        formula=_("lr ~ 10^U(-4, 0);  halving: n configurations, keep n / 2, double the steps"),
        look=_("The effect of each axis averaged over the others, and the spread over seeds."),
        commands=(
            "nndiag sweep act=relu,tanh lr=log:1e-3:1:5 --seeds 2",
            "nndiag compare-optimizers --tune full --optimizers adam",
        ),
        papers=("Bergstra & Bengio 2012", "Jamieson & Talwalkar 2016", "Li et al. 2018"),
        aliases=(
            "sweep",
            "runs",
            "hyperparameters",
            "tuning",
            "grid search",
            "random search",
            "hyperparamètres",
            "réglage",
        ),
        see=("learning-rate", "cross-validation"),
    ),
)
