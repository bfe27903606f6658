"""Exercises of lesson 08, Muon: what `minikimi/optim/` does, step by step."""

from __future__ import annotations

import torch

from minikimi.lab import answers_08 as a
from minikimi.lab.exercise import Exercise, Wrong
from minikimi.optim.muon import adamw_update, as_matrices, nesterov
from minikimi.optim.newton_schulz import newton_schulz

F32 = (torch.float32,)
BOTH = (torch.float32, torch.bfloat16)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "8.1", "The quintic, on numbers", 1, 2,
        (
            "Odd powers only: the first, the third and the fifth, each with its coefficient.",
            "a, b, c = QUINTIC; return a * s + b * s**3 + c * s**5.",
        ),
        a.quintic_step,
        "An odd polynomial of a matrix acts on its singular values alone and leaves its directions as they are.",
        a.singular_value_cases,
        (
            Wrong("even powers", a.even_powers, "X X^T X has singular values s**3: only odd powers can be made."),
            Wrong("coefficients reversed", a.coefficients_reversed,
                  "a = 3.4445 is the coefficient of s itself: the slope at zero, which lifts small values fast."),
            Wrong("the textbook cubic", a.cubic,
                  "1.5 s - 0.5 s**3 converges exactly, but slowly. Muon uses the three numbers of QUINTIC."),
        ),
        (),
        BOTH,
    ),
    Exercise(
        "8.2", "Newton-Schulz", 3, 6,
        (
            "First divide each matrix by its own Frobenius norm (plus EPS). Then repeat: S = X X^T, X = a X + (b S + c "
            "S S) X.",
            "X / (torch.linalg.matrix_norm(X, keepdim=True) + EPS); in the loop P = torch.baddbmm(S, S, S, beta=b, "
            "alpha=c), X = torch.baddbmm(X, P, X, beta=a).",
        ),
        newton_schulz,
        "The Frobenius norm is at least the largest singular value, so division brings all of them below 1, where the "
        "quintic is tame.",
        a.matrix_cases,
        (
            Wrong("not divided by the norm", a.not_normalised,
                  "The quintic blows up for singular values above about 1.3. Divide by the Frobenius norm first."),
            Wrong("one norm for the whole stack", a.normalised_together,
                  "Each matrix of a stack has a norm of its own: torch.linalg.matrix_norm(X, keepdim=True)."),
            Wrong("a single step", a.one_step_only, "Repeat it `steps` times: small singular values grow 3.4-fold a "
                                                    "step."),
            Wrong("entry by entry", a.entry_by_entry,
                  "X**3 cubes entries. The matrix product X X^T X cubes singular values, which is what we want."),
            Wrong("exactly orthogonal", a.exactly_orthogonal,
                  "A singular value decomposition is the goal of the iteration, but too slow on a GPU. Use products "
                  "only."),
        ),
        (a.flat_spectrum,),
        F32,
    ),
    Exercise(
        "8.3", "Momentum that looks ahead", 2, 3,
        (
            "First M = mu M + G in place, with the whole gradient. Then return G + mu M, with the new M.",
            "momentum_buffer.mul_(mu).add_(grad); return grad.add(momentum_buffer, alpha=mu).",
        ),
        nesterov,
        "The scale of the sum does not matter, for Newton-Schulz removes it; the mixture of new and old does.",
        a.momentum_cases,
        (
            Wrong("plain momentum", a.plain_momentum, "That returns M. Nesterov's form returns G + mu M."),
            Wrong("an average", a.averaged, "M sums gradients: mu M + G, not mu M + (1 - mu) G as in Adam."),
            Wrong("buffer not updated", a.forgetful,
                  "The buffer must change in place, or every step starts without a memory."),
            Wrong("mu on the gradient", a.mu_on_the_gradient, "mu belongs to the buffer: V = G + mu M, not M + mu G."),
        ),
        (),
        BOTH,
        a.buffer_and_direction,
    ),
    Exercise(
        "8.4", "Updates of one size", 2, 3,
        (
            "An orthogonal matrix of A x B has a root mean square of 1 / sqrt(max(A, B)). Bring it to 0.2.",
            "lr * 0.2 * math.sqrt(max(rows, columns)).",
        ),
        a.matched_lr,
        "AdamW's updates have a root mean square of about 0.2 to 0.4 times the rate. With the same size, Muon can "
        "share AdamW's learning rate and decay.",
        a.shape_cases,
        (
            Wrong("the smaller side", a.smaller_side,
                  "An A x B matrix has min(A, B) unit singular values among A B entries: rms = 1 / sqrt(max(A, B))."),
            Wrong("the original Muon's scale", a.original_scale,
                  "sqrt(max(1, A/B)) is the first Muon's factor; its updates then shrink as matrices grow."),
            Wrong("the Frobenius norm", a.frobenius_scale,
                  "sqrt(A B) would fit a matrix of norm 1; an orthogonal one has norm sqrt(min(A, B))."),
            Wrong("0.2 forgotten", a.without_factor, "That makes the root mean square 1: five times AdamW's."),
        ),
        (),
        F32,
    ),
    Exercise(
        "8.5", "What is one matrix?", 3, 4,
        (
            "A convolution kernel first becomes (A, in kh kw). Then cut each matrix's rows into row_blocks pieces.",
            "if t.ndim == 4: t = t.flatten(1); return t.reshape(-1, t.size(-2) // row_blocks, t.size(-1)).",
        ),
        as_matrices,
        "Orthogonalising makes all directions of *one linear map* alike. Experts, gate and up, query and key are "
        "separate maps that only share memory.",
        a.tensor_cases,
        (
            Wrong("experts as one matrix", a.experts_in_one,
                  "Each expert is a map of its own; stacked into one tall matrix they would compete for directions."),
            Wrong("row blocks ignored", a.blocks_ignored,
                  "gate over up, or query over key over value, are several matrices one below the other: split rows."),
            Wrong("a matrix for each pixel of the kernel", a.kernel_pixels_as_matrices,
                  "A patch convolution multiplies a flattened patch: one matrix (A, in * kh * kw)."),
            Wrong("rows dealt out in turn", a.blocks_of_columns,
                  "Block 0 is the first rows, block 1 the next ones: they lie together, not in turns."),
        ),
        (),
        BOTH,
    ),
    Exercise(
        "8.6", "One step of Muon", 3, 4,
        (
            "nesterov, newton_schulz, then: p shrinks by the plain learning rate times decay, and the step is the "
            "matched rate times O.",
            "O = newton_schulz(nesterov(momentum_buffer, grad, 0.95)); p * (1 - lr * weight_decay) - matched_lr(lr, "
            "*p.shape) * O.",
        ),
        a.muon_update,
        "Decay with the plain rate is the same for all shapes and for both rules, so one number serves the whole "
        "model.",
        a.update_cases,
        (
            Wrong("decay with the adjusted rate", a.decay_with_adjusted_rate,
                  "Wide matrices would decay faster. Decay multiplies by 1 - lr * weight_decay, with the plain lr."),
            Wrong("decay in the gradient", a.decay_in_gradient,
                  "Newton-Schulz forgets the size of what it gets, so decay must act on the weights themselves."),
            Wrong("no decay", a.no_decay, "p also shrinks: p * (1 - lr * weight_decay)."),
            Wrong("decay without the rate", a.decay_without_rate, "Shrink by lr * weight_decay, not by weight_decay."),
            Wrong("orthogonalised before the momentum", a.gradient_orthogonalised_first,
                  "First the momentum, then Newton-Schulz: single gradients are noisy, and a sum of orthogonal "
                  "matrices is not orthogonal."),
        ),
        (),
        F32,
    ),
    Exercise(
        "8.7", "AdamW for the rest", 3, 4,
        (
            "Both averages start at zero, so early ones are too small by 1 - beta**step. eps joins the corrected root.",
            "denominator = (exp_avg_sq.sqrt() / math.sqrt(1 - beta2**step)).add_(eps); p.addcdiv_(exp_avg, "
            "denominator, value=-lr / (1 - beta1**step)).",
        ),
        adamw_update,
        "Added before the correction, eps would be up to 1 / sqrt(1 - beta2) times larger in the first steps.",
        a.adamw_cases,
        (
            Wrong("eps before the correction", a.eps_before_correction,
                  "Correct the root first, then add eps. (Moonlight's example code has the other order.)"),
            Wrong("eps inside the root", a.eps_inside_root, "eps is added to the root, not under it."),
            Wrong("no bias correction", a.uncorrected,
                  "After one step the averages are (1 - beta) times the gradient: divide by 1 - beta**step."),
            Wrong("betas swapped", a.betas_swapped, "beta1 is for the mean, beta2 for the mean square."),
            Wrong("decay as well", a.decays_too, "The decay is done by the caller, once for both rules."),
        ),
        (),
        F32,
        a.adamw_result,
    ),
    Exercise(
        "8.8", "Who goes to Muon?", 2, 3,
        (
            "At least two axes, and not one of the three tables: token embedding, output head, position table.",
            'len(shape) >= 2 and not name.endswith(("embed_tokens.weight", "lm_head.weight", "pos_emb.weight")).',
        ),
        a.muon_names,
        "A table's rows are looked up one by one and never mixed, so its singular directions mean nothing.",
        a.name_cases,
        (
            Wrong("everything with two axes", a.everything_with_two_axes,
                  "Embedding, head and position table have two axes or more, but they are tables: AdamW."),
            Wrong("two axes exactly", a.matrices_only,
                  "Stacked experts have three axes, the patch convolution four; both hold matrices."),
            Wrong("router left out", a.router_left_out,
                  "The router is a matrix like others; the Moonlight report trains it with Muon."),
            Wrong("head included", a.head_included,
                  "The head compares with one vector per word: a table, like the embedding."),
        ),
        (),
        F32,
    ),
    Exercise(
        "8.9", "How evenly is a matrix used?", 2, 3,
        (
            "Square the singular values, divide by their sum: shares p. Then -sum p log p, divided by log of their "
            "number.",
            "p = s2 / s2.sum() with s2 = torch.linalg.svdvals(W).square(); -(p * p.log()).sum() / math.log(len(p)).",
        ),
        a.spectral_entropy,
        "Divided by log n it is 1 when all directions carry the same energy, whatever the size of the matrix.",
        a.spectrum_cases,
        (
            Wrong("singular values not squared", a.bare_singular_values,
                  "Shares are of the energy: singular values squared."),
            Wrong("not divided by log n", a.in_nats, "Divide by log n, so that matrices of any size compare."),
            Wrong("entropy of the entries", a.over_entries,
                  "Entries depend on the basis. Take the singular values: torch.linalg.svdvals(W)."),
            Wrong("log of the larger side", a.over_larger_side,
                  "A matrix has min(A, B) singular values; n is their number."),
        ),
        (),
        F32,
    ),
    Exercise(
        "8.10", "ZeRO-1 with two ranks", 3, 6,
        (
            "For each matrix: average its gradients over the ranks, let the owner do muon_update, copy the result to "
            "every rank.",
            "torch.stack([mine[i] for mine in grads]).mean(0); muon_update(replicas[rank][i], buffers[rank][i], ...); "
            "replica[i].copy_(new) for each replica.",
        ),
        a.zero1_step,
        "Each momentum buffer exists once, on its owner, and the result is that of a single process: the sum of all "
        "ranks' work is not repeated.",
        a.rank_cases,
        (
            Wrong("the owner's gradient only", a.own_gradient_only,
                  "The other ranks saw other samples: average the gradients of all ranks first."),
            Wrong("not sent round", a.not_sent_round,
                  "Only the owner's copy changed; the others would compute with old weights. Copy the result to all."),
            Wrong("orthogonalised before the average", a.orthogonalised_by_rank,
                  "Average first: the mean of two orthogonal matrices is not orthogonal, and each rank would do the "
                  "work."),
            Wrong("momentum not kept", a.momentum_left_alone,
                  "The owner's buffer must change in place, or the next step has no memory of this one."),
        ),
        (a.copies_agree,),
        F32,
        a.after_step,
    ),
    Exercise(
        "8.11", "What orthogonalising costs", 2, 3,
        (
            "With n the smaller and m the larger side: X X^T is n x m by m x n, S S is n x n by n x n, P X is n x n by "
            "n x m.",
            "steps * (n * n * m + n**3 + n * n * m), n, m = min(rows, columns), max(rows, columns).",
        ),
        a.orthogonalising_cost,
        "Because a tall matrix is transposed first, the Gram matrix is always the small one.",
        a.size_cases,
        (
            Wrong("sides taken as they come", a.sides_taken_as_given,
                  "Tall matrices are transposed first, so n is the smaller side."),
            Wrong("S S forgotten", a.two_products, "There are three products a step: X X^T, S S and P X."),
            Wrong("one step", a.one_step_cost, "Multiply by the number of steps."),
            Wrong("additions counted too", a.additions_too, "Count multiplications only: n * k * m for a product."),
        ),
        (),
        F32,
    ),
)  # fmt: skip
