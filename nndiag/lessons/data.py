"""Lessons on data: what goes in, how it is divided, and what can be borrowed."""

from __future__ import annotations

from nndiag.lessons.lesson import Lesson
from nndiag.locales import to_translate as _  # marked here, translated when a lesson is shown

LESSONS = (
    Lesson(
        name="unnormalised-input",
        title=_("Inputs that are not normalised"),
        what=_(
            "Initialisations assume inputs of mean 0 and variance 1. Inputs in the hundreds "
            "saturate the first layer; features of different scales make a valley that is steep "
            "one way and flat the other, for which no rate fits. Standardise by the mean and "
            "deviation of the training split alone."
        ),
        formula=_(
            "x' = (x - mean_train) / std_train;  condition number ~ (largest / smallest std)^2"
        ),
        look=_("Mean and deviation of the inputs as the network gets them, feature by feature."),
        commands=("nndiag diagnose train.py", "nndiag split"),
        papers=("LeCun et al. 1998 (Efficient BackProp), section 4.3",),
        aliases=(
            "normalisation of inputs",
            "unnormalized input",
            "standardise",
            "standardisation",
            "entrées non normalisées",
        ),
        see=("data-split", "saturated-activations"),
    ),
    Lesson(
        name="imbalanced-labels",
        title=_("Imbalanced labels"),
        what=_(
            "Where one class is 95 % of the data, answering it always is 95 % accurate and "
            "useless. Compare with that baseline, look at each class by itself, weight the loss by "
            "1 / count or sample evenly; and split by class, or a rare one is missing from the "
            "test."
        ),
        formula=_("accuracy of a guess = max_k n_k / n;  balanced accuracy = mean_k recall_k"),
        look=_("Shares of the classes, and the accuracy beside that of the largest one."),
        commands=("nndiag split", "nndiag diagnose train.py"),
        papers=("He & Garcia 2009 (Learning from Imbalanced Data)",),
        aliases=(
            "class imbalance",
            "imbalance",
            "déséquilibre des classes",
            "classes déséquilibrées",
            "étiquettes déséquilibrées",
        ),
        see=("data-split", "losses"),
    ),
    Lesson(
        name="unshuffled-data",
        title=_("Data that are not shuffled"),
        what=_(
            "Batches must be samples of the whole set. Sorted by class, each batch teaches one "
            "answer and the next unteaches it: the loss saws, and BatchNorm's statistics are those "
            "of one class. Shuffle anew each epoch."
        ),
        formula=_("E[g_B] = g  only if B is drawn at random"),
        look=_("The labels of neighbouring samples, and a loss that swings with the classes."),
        commands=("nndiag diagnose train.py", "nndiag descent --batch-sizes 1,8"),
        papers=("Bengio 2012 (Practical Recommendations)",),
        aliases=("shuffle", "unshuffled", "données non mélangées", "mélange"),
        see=("gradient-descent", "batch-size"),
    ),
    Lesson(
        name="label-noise",
        title=_("Label noise"),
        what=_(
            "Networks can learn any labels by heart, also random ones: easy patterns first, the "
            "wrong labels later. So the training loss still falls while the test accuracy rises, "
            "peaks and falls again. Wrong labels bound what the test can show: even the truth "
            "scores only 1 - noise."
        ),
        formula=_("expected test error = noise + (1 - 2 noise) error  (two classes)"),
        look=_("Samples of one input with several labels, and when the validation loss turns."),
        commands=(
            "nndiag diagnose train.py",
            "nndiag bias-variance --task classification --noise 0.2",
        ),
        papers=(
            "Zhang et al. 2017 (Rethinking generalization)",
            "Arpit et al. 2017 (Memorization)",
        ),
        aliases=("noisy labels", "wrong labels", "bruit d'étiquettes", "étiquettes bruitées"),
        see=("overfitting", "bias-variance"),
    ),
    Lesson(
        name="data-split",
        title=_("Training, validation and test data"),
        what=_(
            "Weights are fitted on the training split, choices (rate, depth, when to stop) are "
            "made on the validation split, and the test split is used once, at the end. Stratify: "
            "each split has each class in its proportion. What is in two splits (duplicates, "
            "images of one patient) or was fitted on all of them (a scaler) leaks, and the test "
            "flatters."
        ),
        formula=_(
            "chi^2 = sum (observed - expected)^2 / expected,  "
            "(classes - 1)(splits - 1) degrees of freedom"
        ),
        look=_("Counts by class and split, the p-value, and the duplicates across splits."),
        commands=("nndiag split", "nndiag split --fractions 0.8,0.1,0.1"),
        papers=(
            "Kohavi 1995",
            "Goodfellow, Bengio & Courville 2016, section 5.3",
            "Kapoor & Narayanan 2023 (Leakage)",
        ),
        aliases=(
            "split",
            "validation",
            "test set",
            "leak",
            "leakage",
            "découpage des données",
            "fuite de données",
            "jeu de test",
        ),
        see=("cross-validation", "learning-curve", "imbalanced-labels"),
    ),
    Lesson(
        name="cross-validation",
        title=_("Cross-validation"),
        what=_(
            "Divide the data into k folds, train k times, each time with another fold held out: "
            "every sample is tested exactly once, by a model that has not seen it. With few data "
            "this gives a mean that depends less on the luck of one split. The folds share "
            "training data, so their spread understates the uncertainty."
        ),
        formula=_("CV = (1 / k) sum_i error(fold i, trained on the others)"),
        look=_("The score of each fold, and the pooled one over the whole set."),
        commands=(
            "nndiag sweep depth=2,5 --cv 5 --seeds 1",
            "nndiag learning-curve",
        ),
        papers=("Kohavi 1995", "Bengio & Grandvalet 2004"),
        aliases=("k-fold", "kfold", "cv", "validation croisée"),
        see=("data-split", "hyper-parameters"),
    ),
    Lesson(
        name="augmentation",
        title=_("Data augmentation"),
        what=_(
            "Change the training inputs in ways that leave their label true: shifts, small "
            "rotations, noise. The network sees more data than there are and learns not to mind. "
            "Only the training split is augmented, and not every change is harmless: a rotated 6 "
            "is a 9."
        ),
        formula="min_w E_(x, y) E_T [ L(f_w(T x), y) ]",
        look=_("Training against validation accuracy with it and without: the gap closes."),
        commands=("nndiag transfer --augment", "nndiag learning-curve"),
        papers=(
            "Simard, Steinkraus & Platt 2003",
            "Shorten & Khoshgoftaar 2019",
        ),
        aliases=("data augmentation", "augment", "augmentation de données"),
        see=("overfitting", "regularisation"),
    ),
    Lesson(
        name="transfer-learning",
        title=_("Transfer learning"),
        what=_(
            "Begin from weights trained on another task: early layers, edges and textures, suit "
            "many. Freeze the backbone when labels are few and the tasks near; fine-tune it with a "
            "smaller rate when they are more. The gain shrinks as labels grow, and a source that "
            "is too far can harm."
        ),
        formula=_("lr of the backbone << lr of the new head;  frozen: dL/dw not computed"),
        look=_("Start, slope and end of each strategy against training from scratch, over seeds."),
        commands=("nndiag transfer", "nndiag transfer --strategies scratch,finetune"),
        papers=("Yosinski et al. 2014", "Raghu et al. 2019 (Transfusion)"),
        aliases=(
            "transfer",
            "predict",
            "fine-tuning",
            "fine tuning",
            "apprentissage par transfert",
            "transfert",
            "affinage",
        ),
        see=("untrained-parameters", "learning-curve"),
    ),
)
