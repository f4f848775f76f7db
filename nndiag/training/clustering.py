"""Groups found in features without any label, and how well they agree with the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]
_STARTS = 4  # of k-means, the best of which counts


def clustered(features: Table, count: int, seed: int) -> Labels:
    """Return the number of a group for each row of features (N, F), by k-means."""
    from sklearn.cluster import KMeans

    found: Labels = KMeans(count, n_init=_STARTS, random_state=seed).fit_predict(features)
    return found.astype(np.int64)


def agreement(y: Labels, groups: Labels) -> dict[str, float]:
    """Return how well groups agree with classes: `nmi`, `ari`, `accuracy`.

    Normalised mutual information and the adjusted Rand index (0: as by chance, 1: the same
    groups), and the share that is right when every group is named after one class, as well as can
    be (Kuhn 1955).
    """
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    table = contingency(y, groups)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return {
        "nmi": float(normalized_mutual_info_score(y, groups)),
        "ari": float(adjusted_rand_score(y, groups)),
        "accuracy": float(table[rows, columns].sum() / len(y)),
    }


def contingency(y: Labels, groups: Labels) -> Labels:
    """Return how many images of each class (columns) are in each group (rows)."""
    size = int(max(y.max(), groups.max())) + 1
    table = np.zeros((size, size), dtype=np.int64)
    np.add.at(table, (groups, y), 1)
    return table


def plane(features: Table) -> tuple[Table, float]:
    """Return the two first principal components (N, 2), and their share of the variance."""
    from sklearn.decomposition import PCA

    found = PCA(2, random_state=0)
    return found.fit_transform(features), float(found.explained_variance_ratio_.sum())
