"""Which changes of a network are worth trying against a finding."""

from __future__ import annotations

from dataclasses import replace

from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.spec import NetworkSpec
from nndiag.zoo import activations

#: Symptoms of the network at initialisation, which a change of the network can cure.
_STRUCTURAL = {
    Symptom.VANISHING_GRADIENTS,
    Symptom.EXPLODING_GRADIENTS,
    Symptom.SATURATED_ACTIVATIONS,
    Symptom.DEAD_UNITS,
    Symptom.SYMMETRIC_UNITS,
    Symptom.NON_FINITE,
}

#: Activation and initialisation that belong together: the cure is the pair (He et al. 2015;
#: Klambauer et al. 2017; Pennington et al. 2017 for the orthogonal one).
PAIRS = (
    ("relu", "he_normal"),
    ("tanh", "xavier_normal"),
    ("selu", "lecun_normal"),
    ("tanh", "orthogonal"),
)


def needs_cure(findings: list[Finding]) -> bool:
    """Whether some finding of severity warning or more is about the network itself."""
    return any(
        finding.symptom in _STRUCTURAL and finding.severity.rank >= Severity.WARNING.rank
        for finding in findings
    )


def candidates(network: NetworkSpec) -> list[NetworkSpec]:
    """Return changed networks, the smallest change first, none equal to `network`."""
    if network.recurrent:
        changed = _recurrent(network)
    else:
        matched = activations.parse(network.act).default_init
        changed = [
            replace(network, init=matched),
            replace(network, init=matched, norm="batch"),
            replace(network, norm="none"),
            *(replace(network, act=act, init=init, norm="none") for act, init in PAIRS),
            replace(network, init=matched, norm="layer", residual=True),
        ]
    distinct = dict.fromkeys(candidate for candidate in changed if candidate != network)
    return list(distinct)


def _recurrent(network: NetworkSpec) -> list[NetworkSpec]:
    changed = [replace(network, init="orthogonal")]
    if network.net == "rnn":
        changed.append(replace(network, act="tanh", init="orthogonal"))
    gated = replace(network, act="tanh", init="xavier_uniform")
    return [*changed, replace(gated, net="gru"), replace(gated, net="lstm"), gated]
