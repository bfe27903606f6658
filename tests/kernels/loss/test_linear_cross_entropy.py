"""Chunked head and cross-entropy against torch's own cross_entropy in float64."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from minikimi_kernels.common import relative_error
from minikimi_kernels.loss.linear_cross_entropy import linear_cross_entropy, linear_cross_entropy_reference


def inputs(tokens: int, width: int, classes: int, device: torch.device, dtype=torch.float32):
    torch.manual_seed(tokens + classes)
    hidden = torch.randn(tokens, width, device=device).to(dtype).requires_grad_()
    weight = torch.randn(classes, width, device=device).to(dtype).requires_grad_()
    labels = torch.randint(0, classes, (tokens,), device=device)
    return hidden, weight, labels


def expected(hidden, weight, labels, factor=1.0):
    """Loss and both gradients in float64 through torch alone."""
    hidden, weight = (t.detach().double().requires_grad_() for t in (hidden, weight))
    loss = F.cross_entropy(hidden @ weight.T, labels, ignore_index=-100)
    (loss * factor).backward()
    return loss, hidden.grad, weight.grad


# V over several blocks with a rest, T no multiple of the chunk, one row, one class block that is mostly empty.
@pytest.mark.parametrize(("tokens", "width", "classes"), [(7, 24, 8192 + 100), (13, 16, 300), (1, 8, 17), (4, 8, 16)])
def test_loss_and_gradients(tokens, width, classes, device):
    hidden, weight, labels = inputs(tokens, width, classes, device)
    if tokens > 1:
        labels[tokens // 2 :: 3] = -100
    loss = linear_cross_entropy(hidden, weight, labels, chunk=4)
    (loss * 0.7).backward()
    true_loss, true_hidden, true_weight = expected(hidden, weight, labels, 0.7)
    assert loss.dtype == torch.float32 and loss.dim() == 0
    assert relative_error(loss, true_loss) < 1e-6
    assert relative_error(hidden.grad, true_hidden) < 1e-5
    assert relative_error(weight.grad, true_weight) < 1e-5
    assert relative_error(linear_cross_entropy_reference(hidden, weight, labels), true_loss) < 1e-6


def test_ignored_tokens_neither_count_nor_weigh(device):
    """Adding ignored tokens must change nothing: a mean over all T, or a gradient from them, would show."""
    hidden, weight, labels = inputs(6, 8, 40, device)
    padded = torch.cat([hidden.detach(), torch.full((5, 8), 9.0, device=device)]).requires_grad_()
    padded_labels = torch.cat([labels, torch.full((5,), -100, device=device)])
    loss = linear_cross_entropy(padded, weight, padded_labels)
    loss.backward()
    assert relative_error(loss, linear_cross_entropy(hidden, weight, labels)) < 1e-6
    assert padded.grad[6:].abs().max() == 0


@pytest.mark.parametrize("tokens", [0, 5])
def test_nothing_to_learn_gives_zero(tokens, device):
    hidden, weight, labels = inputs(tokens, 8, 40, device)
    loss = linear_cross_entropy(hidden, weight, torch.full_like(labels, -100))
    loss.backward()
    assert loss.item() == 0
    assert hidden.grad.abs().sum() == 0 and weight.grad.abs().sum() == 0


def test_large_logits_do_not_overflow(device):
    """exp(400) is infinite in fp32; and with the label's logit far ahead the loss is 0, not NaN."""
    hidden = torch.tensor([[20.0], [-20.0]], device=device)
    weight = torch.linspace(-20, 20, 50, device=device)[:, None]
    labels = torch.tensor([49, 49], device=device)
    true_loss, _, _ = expected(hidden, weight, labels)
    assert relative_error(linear_cross_entropy(hidden, weight, labels), true_loss) < 1e-6


def test_other_ignore_index(device):
    hidden, weight, labels = inputs(4, 8, 40, device)
    labels[1] = 7
    loss = linear_cross_entropy(hidden, weight, labels, ignore_index=7)
    assert relative_error(loss, F.cross_entropy((hidden @ weight.T).double(), labels, ignore_index=7)) < 1e-6


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU the check runs there: see the next test")
@pytest.mark.parametrize("wrong", [40, -1])
def test_a_label_that_names_no_class_is_refused(wrong, device):
    """Else it would read the logit of another row."""
    hidden, weight, labels = inputs(4, 8, 40, device)
    labels[2] = wrong
    with pytest.raises(ValueError, match=rf"label {wrong} is outside 0\.\.39"):
        linear_cross_entropy(hidden, weight, labels)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_label_that_names_no_class_stops_a_program_on_the_gpu():
    """In a process of its own: a device-side assertion ends all GPU work of its process."""
    program = """
import torch
from minikimi_kernels.loss.linear_cross_entropy import linear_cross_entropy
hidden, weight = torch.randn(4, 16, device="cuda"), torch.randn(40, 16, device="cuda")
print(linear_cross_entropy(hidden, weight, torch.full((4,), 40, device="cuda")).item())
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.returncode != 0 and not found.stdout
    assert "device-side assert" in found.stderr


def test_strided_inputs_and_one_gradient_only(device):
    """hidden as a slice of a wider tensor, weight transposed in memory and frozen."""
    wide, weight, labels = inputs(5, 16, 40, device)
    frozen = weight.detach()[:, :8].T.contiguous().T
    hidden = wide.detach()[:, ::2].requires_grad_()
    linear_cross_entropy(hidden, frozen, labels).backward()
    assert relative_error(hidden.grad, expected(hidden, frozen, labels)[1]) < 1e-5


def test_bf16(device):
    """bf16 logits carry 2^-9 of themselves as error; the loss is a mean over tokens, the gradients bf16 products."""
    hidden, weight, labels = inputs(64, 32, 128, device, torch.bfloat16)
    loss = linear_cross_entropy(hidden, weight, labels)
    loss.backward()
    true_loss, true_hidden, true_weight = expected(hidden, weight, labels)
    assert relative_error(loss, true_loss) < 5e-3
    assert relative_error(hidden.grad, true_hidden) < 2e-2
    assert relative_error(weight.grad, true_weight) < 2e-2


def test_without_gradients_and_second_backward(device):
    hidden, weight, labels = inputs(3, 8, 40, device)
    with torch.no_grad():
        loss = linear_cross_entropy(hidden, weight, labels)
    assert relative_error(loss, expected(hidden, weight, labels)[0]) < 1e-6
    loss = linear_cross_entropy(hidden, weight, labels)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="second backward"):
        loss.backward()


def test_shapes_that_do_not_fit_are_named(device):
    hidden, weight, labels = inputs(3, 8, 40, device)
    with pytest.raises(ValueError, match=r"labels \(2,\)"):
        linear_cross_entropy(hidden, weight, labels[:2])
