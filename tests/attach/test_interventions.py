"""Each change does what its name says, held against loops that are written that way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nndiag.attach.interventions import Intervention, parse, snippet
from nndiag.attach.session import Session
from nndiag.schema.errors import UsageError

Optimizer = torch.optim.Optimizer
Make = Callable[[list[nn.Parameter]], Optimizer]


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))


def batches(count: int = 12, size: int = 16) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(count):
        x = torch.randn(size, 4, generator=generator)
        found.append((x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()))
    return found


def loop(
    model: nn.Module,
    optimizer: Optimizer,
    *,
    clear: bool = True,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    accumulate: int = 1,
    clip: float | None = None,
) -> list[float]:
    losses = []
    for number, (x, y) in enumerate(batches()):
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss.item())
        if (number + 1) % accumulate:
            continue
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if clear:
            optimizer.zero_grad()
        if scheduler is not None:
            scheduler.step()
    return losses


class Changed:
    """A block in which changes act, as in a trial."""

    def __init__(self, names: str, **known: dict[str, str]) -> None:
        self.interventions: list[Intervention] = parse(names, known)

    def __enter__(self) -> Changed:
        self._stack = ExitStack()
        for one in self.interventions:
            self._stack.enter_context(one.active())
        self._stack.enter_context(Session(interventions=self.interventions))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def changes(self) -> int:
        return sum(one.changes for one in self.interventions)


def number(tensor: Tensor) -> float:
    return tensor.item()


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


# -- rates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_a_scaled_rate_is_a_run_with_that_rate(kind: type[Optimizer]) -> None:
    changed, plain = network(), network()
    with Changed("lr*0.1") as block:
        optimizer = kind(changed.parameters(), lr=0.05)
        losses = loop(changed, optimizer)
    assert losses == pytest.approx(loop(plain, kind(plain.parameters(), lr=0.005)), rel=1e-6)
    torch.testing.assert_close(weights(changed), weights(plain), rtol=1e-6, atol=1e-7)
    assert optimizer.param_groups[0]["lr"] == 0.05
    assert block.changes == 12


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5),
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12),
        lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7),
    ],
)
def test_a_scaled_rate_survives_a_schedule(schedule: Callable[..., object]) -> None:
    changed, plain = network(), network()
    with Changed("lr*10"):
        optimizer = torch.optim.SGD(changed.parameters(), lr=0.01, momentum=0.9)
        losses = loop(changed, optimizer, scheduler=schedule(optimizer))
    own = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    assert losses == pytest.approx(loop(plain, own, scheduler=schedule(own)), rel=1e-6)


def test_a_constant_rate_is_a_run_without_the_schedule() -> None:
    changed, plain = network(), network()
    with Changed("constant_lr"):
        optimizer = torch.optim.SGD(changed.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1)
        losses = loop(changed, optimizer, scheduler=schedule)
    assert losses == loop(plain, torch.optim.SGD(plain.parameters(), lr=0.1))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.1**12)


@pytest.mark.parametrize("own", [None, 1e-4])
def test_clipping_takes_the_place_of_the_scripts_own(own: float | None) -> None:
    changed, plain = network(), network()
    with Changed("clip_norm=0.5"):
        losses = loop(changed, torch.optim.SGD(changed.parameters(), lr=0.5), clip=own)
    expected = loop(plain, torch.optim.SGD(plain.parameters(), lr=0.5), clip=0.5)
    assert losses == pytest.approx(expected, rel=1e-6)


# -- optimizers --------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 3])
def test_zero_grad_is_the_right_loop_bit_for_bit(accumulate: int) -> None:
    changed, plain = network(), network()
    with Changed("zero_grad"):
        optimizer = torch.optim.Adam(changed.parameters(), lr=0.05)
        losses = loop(changed, optimizer, clear=False, accumulate=accumulate)
    own = torch.optim.Adam(plain.parameters(), lr=0.05)
    assert losses == loop(plain, own, accumulate=accumulate)
    assert torch.equal(weights(changed), weights(plain))


def test_zero_grad_leaves_a_right_loop_alone() -> None:
    changed, plain = network(), network()
    with Changed("zero_grad") as block:
        losses = loop(changed, torch.optim.SGD(changed.parameters(), lr=0.1))
    assert losses == loop(plain, torch.optim.SGD(plain.parameters(), lr=0.1))
    assert block.changes == 0


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_adam_instead_is_a_plain_adam_run(momentum: float) -> None:
    changed, plain = network(), network()
    with Changed("optimizer=adam"):
        nesterov = momentum > 0  # its step changes the gradients in place
        optimizer = torch.optim.SGD(
            changed.parameters(), lr=5, momentum=momentum, nesterov=nesterov
        )
        losses = loop(changed, optimizer)
    assert losses == loop(plain, torch.optim.Adam(plain.parameters(), lr=1e-3))
    assert torch.equal(weights(changed), weights(plain))


def test_adam_instead_follows_the_schedule() -> None:
    changed, plain = network(), network()
    with Changed("optimizer=adam"):
        optimizer = torch.optim.SGD(changed.parameters(), lr=0.3)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.1)
        losses = loop(changed, optimizer, scheduler=schedule)
    own = torch.optim.Adam(plain.parameters(), lr=1e-3)
    expected = loop(plain, own, scheduler=torch.optim.lr_scheduler.StepLR(own, 4, 0.1))
    assert losses == pytest.approx(expected, rel=1e-6)


def test_the_optimizer_gets_what_it_misses() -> None:
    changed, plain = network(), network()
    with Changed("hold_all_parameters") as block:
        losses = loop(changed, torch.optim.Adam(changed[4].parameters(), lr=0.01))
    groups = [[*plain[4].parameters(), *plain[0].parameters(), *plain[2].parameters()]]
    assert losses == pytest.approx(loop(plain, torch.optim.Adam(groups[0], lr=0.01)), rel=1e-6)
    assert block.changes == 4


def test_layers_in_a_plain_list_learn_and_frozen_ones_do_not() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(4, 8), nn.Linear(8, 8)]
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x).relu()
            return self.head(x)

    model = Hidden()
    model.layers[0].requires_grad_(False)
    before = [layer.weight.detach().clone() for layer in model.layers]
    with Changed("hold_all_parameters"):
        loop(model, torch.optim.SGD(model.parameters(), lr=0.1))
    moved = [not torch.equal(a, b.weight) for a, b in zip(before, model.layers, strict=True)]
    assert moved == [False, True]


def test_each_optimizer_of_a_gan_gets_its_own() -> None:
    torch.manual_seed(0)
    maker, judge = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    by_judge = torch.optim.SGD(judge.parameters(), lr=0.1)
    by_maker = torch.optim.SGD(judge.parameters(), lr=0.1)  # holds the other model's
    with Changed("hold_all_parameters"):
        for _ in range(3):
            by_judge.zero_grad()
            fake = maker(torch.randn(8, 2))
            judge(fake.detach()).mean().backward()
            by_judge.step()
            by_maker.zero_grad()
            (-judge(fake).mean()).backward()
            by_maker.step()
    held = {id(p) for p in by_maker.param_groups[0]["params"]}
    assert {id(p) for p in maker.parameters()} <= held
    assert len(by_judge.param_groups[0]["params"]) == 4


# -- losses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("through", ["module", "function", "view"])
def test_cross_entropy_of_probabilities_becomes_that_of_logits(through: str) -> None:
    changed, plain = network(), network()
    squash: dict[str, Callable[[Tensor], Tensor]] = {
        "module": nn.Softmax(dim=1),
        "function": lambda z: torch.softmax(z, 1),
        "view": lambda z: functional.softmax(z, dim=1).view(-1, 3),
    }
    x, y = batches(1)[0]
    options = {"label_smoothing": 0.1, "weight": torch.tensor([1.0, 2.0, 0.5])}
    with Changed("remove_softmax"):
        loss = functional.cross_entropy(squash[through](changed(x)), y, **options)
        loss.backward()
        with torch.no_grad():
            again = functional.cross_entropy(squash[through](changed(x)), y, **options)
    own = functional.cross_entropy(plain(x), y, **options)
    own.backward()
    assert loss.item() == pytest.approx(own.item(), rel=1e-6)
    assert again.item() == pytest.approx(own.item(), rel=1e-6)
    for one, other in zip(changed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_probabilities_of_unknown_origin_give_the_loss_of_their_logarithms() -> None:
    model, y = network(), batches(1)[0][1]
    x = batches(1)[0][0]
    with Changed("remove_softmax"):
        exact = torch.special.softmax(model(x), 1)
        loss = functional.cross_entropy(exact, y)
    assert loss.item() == pytest.approx(number(functional.cross_entropy(model(x), y)), rel=1e-5)


def test_a_sigmoid_before_logits_goes_with_extreme_scores_too() -> None:
    z = torch.tensor([-200.0, -1.0, 0.5, 90.0], requires_grad=True)
    y = torch.tensor([1.0, 0.0, 1.0, 0.0])
    with Changed("remove_softmax"):
        loss = functional.binary_cross_entropy_with_logits(torch.sigmoid(z), y)
    assert loss.item() == pytest.approx(
        number(functional.binary_cross_entropy_with_logits(z, y)), rel=1e-6
    )


def test_raw_scores_stay() -> None:
    model, (x, y) = network(), batches(1)[0]
    with Changed("remove_softmax") as block:
        loss = functional.cross_entropy(model(x), y)
        torch.softmax(model(x), 1)
    assert loss.item() == number(functional.cross_entropy(model(x), y))
    assert block.changes == 0


def test_a_softmax_of_one_score_becomes_a_sigmoid() -> None:
    z = torch.randn(6, 1, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = (torch.arange(6) % 2).float()
    with Changed("remove_softmax"):
        loss = functional.binary_cross_entropy(torch.softmax(z, 1).squeeze(1), y)
        square = functional.mse_loss(torch.softmax(z, 1), y[:, None])
    expected = functional.binary_cross_entropy(torch.sigmoid(z).squeeze(1), y)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert square.item() == pytest.approx(
        number(functional.mse_loss(torch.sigmoid(z), y[:, None])), rel=1e-6
    )


def test_losses_get_what_they_expect() -> None:
    model, (x, y) = network(), batches(1)[0]
    column, row = torch.randn(16, 1), torch.randn(16)
    with Changed("match_loss"):
        nll = functional.nll_loss(model(x), y)
        right = functional.nll_loss(model(x).log_softmax(1), y)
        binary = functional.binary_cross_entropy(model(x)[:, 0], (y > 0).float())
        square = functional.mse_loss(column, row)
    expected = number(functional.cross_entropy(model(x), y))
    assert (nll.item(), right.item()) == (pytest.approx(expected), pytest.approx(expected))
    logits = functional.binary_cross_entropy_with_logits(model(x)[:, 0], (y > 0).float())
    assert binary.item() == pytest.approx(logits.item(), rel=1e-6)
    assert square.item() == pytest.approx(number(functional.mse_loss(column[:, 0], row)))


# -- models ------------------------------------------------------------------------------------


def test_reinitialised_weights_have_the_deviation_of_their_activation() -> None:
    model = nn.Sequential(
        *(nn.Linear(400, 300), nn.ReLU(), nn.Linear(300, 500), nn.Tanh()),
        *(nn.Linear(500, 400), nn.SELU(), nn.BatchNorm1d(400), nn.Linear(400, 10)),
    )
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.3)
    before = [id(parameter) for parameter in model.parameters()]
    state = torch.get_rng_state()
    with Changed("reinit"):
        model(torch.zeros(8, 400))
    assert torch.equal(torch.get_rng_state(), state)
    assert [id(parameter) for parameter in model.parameters()] == before
    stds = [model[place].weight.std().item() for place in (0, 2, 4, 7)]
    wanted = [(2 / 400) ** 0.5, (2 / 800) ** 0.5, (1 / 500) ** 0.5, (1 / 400) ** 0.5]
    assert stds == pytest.approx(wanted, rel=0.03)
    assert all(model[place].bias.abs().max().item() == 0 for place in (0, 2, 4, 6, 7))
    assert model[6].weight.min().item() == 1


def test_reinitialisation_knows_functional_activations_from_the_first_run() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(600, 300), nn.Linear(300, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.tanh(self.first(x)))

    known = {"first": "Tanh()", "last": ""}
    for names, variance in (("reinit", 2 / 900), ("reinit,act=relu", 2 / 600)):
        model = Net()
        with Changed(names, Net=known):
            model(torch.zeros(2, 600))
        assert model.first.weight.var().item() == pytest.approx(variance, rel=0.05)


def test_recurrent_weights_become_orthogonal_gate_by_gate() -> None:
    model = nn.LSTM(5, 12, num_layers=2, bidirectional=True)
    with Changed("reinit"):
        model(torch.zeros(3, 2, 5))
    for name, parameter in model.named_parameters():
        if "weight_hh" in name:
            for gate in parameter.split(12):
                torch.testing.assert_close(gate @ gate.T, torch.eye(12), rtol=0, atol=1e-5)
        elif "bias_ih" in name:
            assert parameter.sum() == 12
            assert parameter[12:24].min() == 1


def test_inserted_norms_are_those_of_a_model_written_with_them_and_learn() -> None:
    changed, plain = network(), network()
    written = nn.Sequential(
        *(plain[0], nn.BatchNorm1d(8), plain[1], plain[2], nn.BatchNorm1d(8), plain[3], plain[4])
    )
    with Changed("norm=batch") as block:
        losses = loop(changed, torch.optim.SGD(changed.parameters(), lr=0.1, momentum=0.9))
    assert losses == pytest.approx(
        loop(written, torch.optim.SGD(written.parameters(), lr=0.1, momentum=0.9)), rel=1e-5
    )
    inserted = [m for m in changed.modules() if isinstance(m, nn.BatchNorm1d)]
    assert block.changes == len(inserted) == 2
    torch.testing.assert_close(inserted[0].weight, written[1].weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(inserted[0].running_mean, written[1].running_mean)


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_norms_fit_convolutions_sequences_and_schedules(kind: str) -> None:
    image = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 6, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(6 * 36, 3),
    )  # fmt: skip
    sequence = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    for model, x in ((image, torch.randn(5, 1, 6, 6)), (sequence, torch.randn(5, 7, 4))):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.9**epoch)
        with Changed(f"norm={kind}") as block:
            for _ in range(3):
                model(x).square().mean().backward()
                optimizer.step()
                schedule.step()
        held = {id(p) for p in optimizer.param_groups[0]["params"]}
        assert {id(p) for p in model.parameters()} == held
        assert block.changes == (2 if model is image else 1)


def test_layer_norm_takes_the_place_of_batch_norm() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2))
    with Changed("norm=layer"):
        out = model(torch.randn(1, 1, 6, 6))
    assert isinstance(model[1], nn.GroupNorm)
    assert out.shape == (1, 2)


class Squashed(nn.Module):
    """Functional and module activations, one of them on the output."""

    def __init__(self, relu: bool) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 1)
        self.squash = nn.ReLU() if relu else nn.Sigmoid()
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.squash(self.first(torch.tanh(x)))
        hidden = self.second(hidden).relu() if self.relu else self.second(hidden).tanh()
        return torch.sigmoid(self.last(hidden))


def test_relu_replaces_what_saturates_between_layers_only() -> None:
    x = torch.randn(8, 4)
    with Changed("act=relu"):
        model = Squashed(relu=False)
        out = model(x), model(x)
    assert torch.equal(out[0], Squashed(relu=True)(x))
    assert torch.equal(out[1], out[0])
    assert torch.equal(torch.tanh(x), x.tanh())


def test_a_linear_output_has_no_activation() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1), nn.ReLU(inplace=True))
    x = torch.randn(8, 4)
    with Changed("linear_output"):
        out = model(x)
    assert torch.equal(out, model[:3](x))


# -- inputs and modes --------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [1, 2])
def test_inputs_have_mean_zero_and_deviation_one_by_feature(axis: int) -> None:
    seen: list[Tensor] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * (4 if axis == 1 else 1), 1))
    shape = (64, 3, 2, 2) if axis == 1 else (64, 3)
    x = 500 + 30 * torch.randn(shape)
    x[:, 1] = 7.0  # a constant feature
    model[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with Changed("standardise_input"):
        for _ in range(20):
            model(x)
        model.eval()
        with torch.no_grad():
            model(x[:5])
    axes = (0, 2, 3) if axis == 1 else (0,)
    assert torch.allclose(seen[0].mean(axes), torch.zeros(3), atol=1e-4)  # the first pass already
    assert torch.allclose(seen[-2].mean(axes), torch.zeros(3), atol=1e-4)
    assert torch.allclose(seen[-2].std(axes), torch.tensor([1.0, 0.0, 1.0]), atol=0.02)
    torch.testing.assert_close(seen[-1], seen[-2][:5])


def test_statistics_of_the_input_stay_after_the_first_batches() -> None:
    seen: list[Tensor] = []
    model = nn.Sequential(nn.Identity(), nn.Linear(2, 1))
    model[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = torch.randn(32, 2)
    with Changed("standardise_input"):
        for _ in range(20):
            model(x)
        model(x + 100)
    assert float(seen[-1].mean()) > 50


def test_modes_follow_the_gradients_and_are_put_back() -> None:
    modes: list[bool] = []
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 3)).eval()
    model[1].register_forward_pre_hook(lambda module, args: modes.append(module.training))
    x = torch.randn(8, 4)
    with Changed("mode"):
        model(x)
        assert not model.training
        model(x)
        model.train()
        model[0].eval()
        with torch.no_grad():
            model(x)
    assert modes == [True, True, False]
    assert [module.training for module in model.modules()] == [True, False, True, True]


# -- names -------------------------------------------------------------------------------------


def test_names_are_read_back_in_the_order_in_which_they_act() -> None:
    names = "optimizer=adam, lr*0.1,reinit,clip_norm=1,standardise_input"
    found = [one.name for one in parse(names)]
    assert found == ["standardise_input", "reinit", "lr*0.1", "clip_norm=1", "optimizer=adam"]
    assert [one.name for one in parse(",".join(found))] == found
    assert parse("") == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("lr*none", "fix lr*none: a number above 0 belongs after lr*"),
        ("clip_norm=-1", "fix clip_norm=-1: a number above 0 belongs after clip_norm="),
        ("zero_gard", "did you mean zero_grad?"),
    ],
)
def test_unknown_names_and_numbers_are_refused(names: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(names)
    assert message in str(caught.value)


def test_snippets_name_the_scripts_own_layers_and_numbers() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Session() as session:
        loop(model, optimizer)
    seen = session.observation(namespace={"net": copy.copy(model), "model": model})
    assert (
        snippet("lr*0.1", seen) == "- torch.optim.SGD(..., lr=0.1)\n+ torch.optim.SGD(..., lr=0.01)"
    )
    assert "+ nn.init.xavier_normal_(model[0].weight)" in snippet("reinit", seen)
    assert '+ nn.init.kaiming_normal_(model[0].weight, nonlinearity="relu")' in snippet(
        "act=relu,reinit", seen
    )
    assert snippet("norm=batch", seen) == (
        "+ nn.BatchNorm1d(8)  # after model[0]\n+ nn.BatchNorm1d(8)  # after model[2]"
    )
    assert "torch.optim.Adam(model.parameters(), lr=0.001)" in snippet("optimizer=adam", seen)
