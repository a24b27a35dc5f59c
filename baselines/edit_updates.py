"""Changes of a weight matrix that give some keys new values and disturb everything else least.

W is d_out x d_in, and a layer gives W k for a key k. Keys are the columns of K (d_in, n), R (d_out, n) is
what their values lack, and C = E[k k^T] is of all that the layer reads. All is float64: C is nearly singular.
"""

import torch
from torch import Tensor


def memit(keys: Tensor, lacking: Tensor, moment: Tensor, weight: float) -> Tensor:
    """R K^T (w C + K K^T)^-1: ridge regression, which leaves a misfit (MEMIT, arXiv 2210.07229, eq. 14).

    Args:
        keys: K.
        lacking: R.
        moment: C.
        weight: w, how much everything else counts beside the keys.
    """
    return lacking @ torch.linalg.solve(weight * moment + keys @ keys.T, keys).T


def emmet(keys: Tensor, lacking: Tensor, moment: Tensor, ridge: float) -> Tensor:
    """R (K^T C^-1 K + r I)^-1 K^T C^-1: the keys get their values exactly at r = 0 (arXiv 2403.14236).

    Of one key it is ROME's change (arXiv 2202.05262, eq. 2), with that key in both of its places.

    Args:
        keys: K.
        lacking: R.
        moment: C.
        ridge: r; keys that are alike make the inner matrix singular.
    """
    spread = torch.linalg.solve(moment, keys)
    inner = keys.T @ spread + ridge * torch.eye(keys.shape[1], dtype=keys.dtype)
    return lacking @ torch.linalg.pinv(inner, hermitian=True) @ spread.T


def alphaedit(keys: Tensor, lacking: Tensor, projector: Tensor, earlier: Tensor, ridge: float) -> Tensor:
    """R K^T P (K K^T P + E E^T P + r I)^-1: nothing moves outside the null space (arXiv 2410.02355, eq. 14).

    Args:
        keys: K.
        lacking: R.
        projector: P, see `null_projector`.
        earlier: E (d_in, m), keys of earlier edits, whose values are to stay.
        ridge: r.
    """
    taken = keys @ keys.T + earlier @ earlier.T
    system = projector @ taken + ridge * torch.eye(len(keys), dtype=keys.dtype)
    return torch.linalg.solve(system, projector @ keys @ lacking.T).T


def null_projector(moment: Tensor, threshold: float) -> Tensor:
    """The projector on the directions in which next to nothing is read.

    Args:
        moment: C.
        threshold: Directions whose eigenvalue of C is below it.
    """
    values, vectors = torch.linalg.eigh(moment)
    free = vectors[:, values < threshold]
    return free @ free.T
