"""Lessons on optimisation: rates, schedules, batches and optimizers."""

from __future__ import annotations

from nndiag.lessons.lesson import Lesson
from nndiag.locales import to_translate as _  # marked here, translated when a lesson is shown

LESSONS = (
    Lesson(
        name="learning-rate-too-high",
        title=_("Learning rate too high"),
        what=_(
            "A step longer than the curvature allows lands higher up on the other side of the "
            "valley, and the next one is longer still: the loss oscillates, leaps or diverges. "
            "Along each direction the limit is 2 over its curvature; momentum raises it."
        ),
        formula=_(
            "stable on a quadratic  <=>  0 < lr < 2 / lambda_max  "
            "(heavy ball: 2 (1 + beta) / lambda_max)"
        ),
        look=_(
            "The loss of the first steps, and the size of a step beside the size of the weights: "
            "about 1e-3 is usual, above 0.1 the weights are replaced rather than tuned."
        ),
        commands=(
            "nndiag gradients --depth 3 --act relu --train 60 --lr 5",
            "nndiag descent --lr 2",
        ),
        papers=(
            "LeCun et al. 1998 (Efficient BackProp)",
            "Smith 2017 (Cyclical Learning Rates)",
            "Goh 2017",
        ),
        aliases=("lr too high", "divergence", "taux d'apprentissage trop élevé", "taux trop grand"),
        see=("learning-rate", "non-finite", "schedules"),
    ),
    Lesson(
        name="learning-rate-too-low",
        title=_("Learning rate too low"),
        what=_(
            "The loss falls in a straight line, slowly, and the budget ends before the training "
            "does. It looks like a network that cannot learn; a rate ten times larger tells the "
            "two apart."
        ),
        formula=_("excess after t steps of gradient descent ~ (1 - lr lambda)^(2 t)"),
        look=_(
            "A loss that still falls at the last step, and updates far below a thousandth of the "
            "weights."
        ),
        commands=(
            "nndiag gradients --depth 3 --act relu --train 60 --lr 1e-5",
            "nndiag descent --lr 0.001",
        ),
        papers=("Bengio 2012 (Practical Recommendations)", "Smith 2017 (Cyclical Learning Rates)"),
        aliases=("lr too low", "taux d'apprentissage trop faible", "taux trop petit"),
        see=("learning-rate", "stalled-loss"),
    ),
    Lesson(
        name="stalled-loss",
        title=_("Stalled loss"),
        what=_(
            "The loss does not fall: it stays where guessing puts it, ln K for K balanced classes. "
            "This names no cause. Signal, rate, labels, inputs and the wiring of loss and "
            "optimizer are gone through in turn; a few samples that cannot be learnt by heart "
            "point to a fault rather than to a hard task."
        ),
        formula=_("loss of a guess = ln K  (10 classes: 2.303)"),
        look=_(
            "The loss beside that of a guess, and the other findings: one of them is the cause."
        ),
        commands=(
            "nndiag gradients --depth 20 --act sigmoid --train 100",
            "nndiag diagnose --try-fixes train.py",
        ),
        papers=(
            "Goodfellow, Bengio & Courville 2016, section 11.5",
            "Karpathy 2019 (A Recipe for Training)",
        ),
        aliases=("plateau", "diagnose", "not learning", "perte qui stagne", "stagnation"),
        see=("vanishing-gradients", "learning-rate-too-low", "loss-output-mismatch"),
    ),
    Lesson(
        name="always-clipped",
        title=_("Always clipped"),
        what=_(
            "Clipping is a guard against rare steep steps. A limit below the usual norm of the "
            "gradient acts at every step: then it only rescales the learning rate, by a factor "
            "that changes from step to step, and the real rate is unknown."
        ),
        formula=_("real rate = lr min(1, c / |g|)"),
        look=_(
            "The share of steps whose norm before clipping is above the limit; a limit of a few "
            "times the average norm leaves ordinary steps alone."
        ),
        commands=(
            "nndiag gradients --depth 3 --act relu --train 60 --clip-norm 0.01",
            "nndiag compare-fixes --problem rnn-exploding",
        ),
        papers=("Pascanu, Mikolov & Bengio 2013",),
        aliases=("clipped", "toujours écrêté", "toujours écrêtés"),
        see=("gradient-clipping", "learning-rate-too-low"),
    ),
    Lesson(
        name="bad-schedule",
        title=_("Bad schedule"),
        what=_(
            "A schedule that is stepped once a batch instead of once an epoch, or whose length is "
            "not that of the training, takes the rate to nothing while there is still much to "
            "learn, or never lowers it. The loss then freezes for no visible reason."
        ),
        formula=_(
            "gamma^t: 0.95 an epoch over 10 epochs leaves 60 %; a batch, over 1000 batches, 5e-23"
        ),
        look=_("The rate at the last step over that of the first, and where most of the fall was."),
        commands=(
            "nndiag diagnose train.py",
            "nndiag compare-schedules --schedules exponential",
        ),
        papers=("Loshchilov & Hutter 2017 (SGDR)", "PyTorch documentation: lr_scheduler"),
        aliases=("mauvais calendrier", "mauvais programme du taux"),
        see=("schedules", "learning-rate-too-low"),
    ),
    Lesson(
        name="gradient-descent",
        title=_("Gradient descent: batch, mini-batch, stochastic"),
        what=_(
            "Each step goes against the gradient of the loss. The gradient of a few samples is "
            "right on average and noisy: small batches make many cheap, noisy steps, large ones "
            "few exact steps. At a constant rate the noise keeps small batches moving around the "
            "minimum; a smaller rate at the end lets them settle."
        ),
        formula="w <- w - lr g_B;  E|g_B - g|^2 = S^2 / B (1 - B / N)",
        look=_("The paths on the contours, the noisy losses, and the noise beside its formula."),
        commands=("nndiag descent", "nndiag descent --model logistic --data digits"),
        papers=("Robbins & Monro 1951", "Bottou, Curtis & Nocedal 2018"),
        aliases=("descent", "sgd", "stochastic gradient descent", "descente de gradient"),
        see=("batch-size", "learning-rate", "optimizers"),
    ),
    Lesson(
        name="learning-rate",
        title=_("The learning rate"),
        what=_(
            "The most important number of a training: too small, and nothing is learnt in time; "
            "too large, and the loss diverges. Good rates span about a decade just below the "
            "first one that diverges. They depend on depth, batch size and optimizer, so they are "
            "searched on a logarithmic scale."
        ),
        formula=_("w <- w - lr g;  best rate within a factor of 2 of the largest that converges"),
        look=_("Accuracy against rate: a plateau, then a cliff on the side of the large rates."),
        commands=(
            "nndiag lr-find",
            "nndiag compare-optimizers --optimizers sgd --rates 9",
        ),
        papers=("Bengio 2012 (Practical Recommendations)", "Smith 2017 (Cyclical Learning Rates)"),
        aliases=("lr", "lr-find", "rate", "step size", "taux d'apprentissage"),
        see=("learning-rate-too-high", "learning-rate-too-low", "schedules"),
    ),
    Lesson(
        name="schedules",
        title=_("Learning-rate schedules"),
        what=_(
            "A large rate travels fast, a small one settles: schedules begin with the one and end "
            "with the other. Find a good constant rate first, then add decay. A warm-up starts "
            "small for as long as the first gradients, or Adam's averages of them, cannot be "
            "trusted."
        ),
        formula=_(
            "exponential: lr_0 exp(-k t);  inverse: lr_0 / (1 + k t);  "
            "cosine: lr_0 (1 + cos(pi t / T)) / 2"
        ),
        look=_("Loss and accuracy of the last tenth of the training, with decay and without."),
        commands=(
            "nndiag compare-schedules",
            "nndiag compare-schedules --schedules cosine,step",
        ),
        papers=("Smith 2017", "Loshchilov & Hutter 2017 (SGDR)", "Goyal et al. 2017 (warm-up)"),
        aliases=(
            "schedule",
            "scheduler",
            "decay",
            "warm-up",
            "compare-schedules",
            "décroissance du taux",
            "calendrier du taux d'apprentissage",
        ),
        see=("learning-rate", "bad-schedule"),
    ),
    Lesson(
        name="batch-size",
        title=_("Batch size"),
        what=_(
            "Doubling the batch halves the variance of the gradient and the number of steps of an "
            "epoch, which has ceil(n / batch) of them. Small batches often generalise as well or "
            "better and work over a wider range of rates; large ones use the machine better. At "
            "the same number of epochs a large batch takes fewer steps: compare fairly."
        ),
        formula=_("steps of an epoch = ceil(n / B);  Var[g_B] = S^2 / B (1 - B / N)"),
        look=_("Noise of the gradient by batch size, and epochs against steps to the same loss."),
        commands=(
            "nndiag descent --batch-sizes 1,4,16,64,all",
            "nndiag compare-batch-sizes",
        ),
        papers=("Masters & Luschi 2018", "Goyal et al. 2017", "Smith et al. 2018"),
        aliases=("batch", "mini-batch", "compare-batch-sizes", "taille de lot", "taille des lots"),
        see=("gradient-descent", "learning-rate", "batch-normalisation"),
    ),
    Lesson(
        name="optimizers",
        title=_("Optimizers"),
        what=_(
            "Momentum averages gradients and carries the step through ravines; AdaGrad, RMSProp "
            "and Adam divide each parameter's step by the size of its own gradients. The general "
            "one can imitate the special one, so when each is tuned it is not worse. Untuned "
            "comparisons mostly rank the default rates."
        ),
        formula="Adam: m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  "
        "w <- w - lr m^ / (sqrt(v^) + eps)",
        look=_("Ranks with their critical difference, each optimizer at its own best rate."),
        commands=("nndiag compare-optimizers", "nndiag compare-optimizers --trajectory"),
        papers=(
            "Polyak 1964",
            "Duchi, Hazan & Singer 2011",
            "Kingma & Ba 2015",
            "Choi et al. 2019",
            "Schmidt, Schneider & Hennig 2021",
        ),
        aliases=(
            "optimizer",
            "optimiser",
            "momentum",
            "adam",
            "rmsprop",
            "adagrad",
            "nesterov",
            "compare-optimizers",
            "optimiseurs",
            "moment",
            "inertie",
        ),
        see=("moving-averages", "learning-rate", "gradient-descent"),
    ),
    Lesson(
        name="gradient-clipping",
        title=_("Gradient clipping"),
        what=_(
            "The loss of a recurrent or very deep network has cliffs: one gradient there throws "
            "the weights far away. Scaling the gradient down to a limit keeps its direction and "
            "bounds the step. It widens the range of rates that work; it cures neither vanishing "
            "nor a bad initialisation."
        ),
        formula="g <- g min(1, c / |g|)",
        look=_("Norms before clipping: log them there, or the clipping hides the explosion."),
        commands=(
            "nndiag compare-fixes --problem rnn-exploding",
            "nndiag gradients --net rnn --train 60 --clip-norm 1",
        ),
        papers=("Pascanu, Mikolov & Bengio 2013", "Zhang et al. 2020 (why clipping)"),
        aliases=("clipping", "clip", "clip-norm", "écrêtage du gradient", "écrêtage"),
        see=("exploding-gradients", "always-clipped"),
    ),
    Lesson(
        name="moving-averages",
        title=_("Exponentially weighted moving averages"),
        what=_(
            "One number that forgets slowly: each new value enters with weight 1 - beta, older "
            "ones fade by beta a step. Momentum and Adam are made of it. More smoothing means more "
            "lag, and an average started at 0 is too small at first, which the correction mends."
        ),
        formula=_(
            "v_t = beta v_(t-1) + (1 - beta) y_t;  window 1 / (1 - beta);  "
            "corrected v_t / (1 - beta^t)"
        ),
        look=_(
            "Noise that is left and lag, measured beside (1 - beta) / (1 + beta) and "
            "beta / (1 - beta)."
        ),
        commands=("nndiag ewma", "nndiag ewma --betas 0.9,0.99"),
        papers=("Kingma & Ba 2015, section 3",),
        aliases=(
            "ewma",
            "ema",
            "moving average",
            "bias correction",
            "moyenne mobile",
            "moyenne mobile exponentielle",
        ),
        see=("optimizers",),
    ),
)
