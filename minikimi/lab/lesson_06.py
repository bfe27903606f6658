"""Exercises of lesson 06, MoE routing: what `minikimi/model/moe.py` does, step by step."""

from __future__ import annotations

import torch

from minikimi.lab import answers_06 as a
from minikimi.lab.exercise import Exercise, Wrong
from minikimi.model.moe import sequence_aux_loss, update_selection_bias

F32 = (torch.float32,)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "6.1", "Score every expert", 1, 2,
        (
            "One dot product for each token and expert, then the logistic function, each expert for itself.",
            "F.linear(x.float(), weight.float()).sigmoid(): cast both before the product, not after it.",
        ),
        a.expert_scores,
        "A sigmoid lets an expert's score rise without pushing the others down. float32, because choices turn on small "
        "differences between scores.",
        a.score_cases,
        (
            Wrong("softmax over the experts", a.softmax_scores,
                  "Older routers do this. Here each expert is scored on its own: .sigmoid(), no sum over experts."),
            Wrong("the logits themselves", a.raw_logits, "Missing: .sigmoid(), which brings a score into (0, "
                                                         "1)."),
            Wrong("computed in the input's dtype", a.low_precision_scores,
                  "In bfloat16, scores near 0.5 come in steps of 0.002 to 0.004, so ties are decided by chance. Cast "
                  "x and weight to float32 first."),
        ),
        (a.in_zero_one,),
    ),
    Exercise(
        "6.2", "Choose with the bias", 1, 2,
        (
            "topk along the experts, of the score plus the bias; you need its indices, not its values.",
            "(scores + bias).topk(top_k, dim=-1).indices: bias (E,) is added to every token's row.",
        ),
        a.choose_experts,
        "The bias is a handicap in the race and nothing else: it decides who takes part.",
        a.choice_cases,
        (
            Wrong("bias ignored", a.bias_ignored, "Rank experts by scores + bias; without it, nothing balances them."),
            Wrong("bias subtracted", a.bias_subtracted,
                  "A positive bias must help an expert to be chosen: add it to the scores."),
            Wrong("bias as a factor", a.bias_multiplied, "The bias is an addend: scores + bias, not scores * (1 + "
                                                         "bias)."),
            Wrong("experts choosing tokens", a.experts_choose_tokens,
                  "dim=0 picks tokens for each expert (a method of its own, expert choice). Here each token picks: "
                  "dim=-1."),
        ),
        (),
        F32,
        a.sorted_choice,
    ),
    Exercise(
        "6.3", "Weights of the chosen experts", 2, 4,
        (
            "Pick the chosen scores with gather, divide by their sum over the K chosen, multiply by scaling.",
            "w = scores.gather(1, indices), then w / (w.sum(dim=-1, keepdim=True) + 1e-20) * scaling. One argument is "
            "not needed.",
        ),
        a.expert_weights,
        "The bias is set by a rule, not by gradients, so it must not change what the layer computes from a given "
        "choice.",
        a.weight_cases,
        (
            Wrong("bias in the weights", a.biased_weights,
                  "The bias is for choosing only. Weights come from the bare scores, or balancing would change the "
                  "output."),
            Wrong("not renormalised", a.not_renormalised,
                  "Divide by the sum of the K chosen scores, so that only their proportions count."),
            Wrong("not scaled", a.not_scaled, "After dividing by the sum, multiply by `scaling`."),
            Wrong("shares among all experts", a.share_of_all,
                  "You divide by the sum over all E experts. Gather first: only the chosen ones share the token."),
            Wrong("softmax of the chosen scores", a.softmax_weights,
                  "Scores are positive already: divide them by their sum, without another exponential."),
        ),
        (a.sums_to_scaling,),
        F32,
    ),
    Exercise(
        "6.4", "Where 2.446 comes from", 3, 5,
        (
            "For each row: sigmoid, the top_k largest, divided by their sum; then one over the length of that vector.",
            "p = top / top.sum(dim=-1, keepdim=True); (1 / p.norm(dim=-1)).mean(): invert each row, then average.",
        ),
        a.mean_inverse_norm,
        "Outputs of unrelated experts add like perpendicular vectors, so their weighted sum is |p| times as long as "
        "one of them. The factor undoes that.",
        a.logit_cases,
        (
            Wrong("the inverse of the mean", a.inverse_of_mean,
                  "The mean of 1/|p| is not 1 over the mean of |p|. Invert each row first."),
            Wrong("the shrinking itself", a.norm_itself, "That is how much the sum shrinks. The factor is its "
                                                         "inverse, 1/|p|."),
            Wrong("scores without renormalising", a.bare_scores,
                  "p are shares: divide the top sigmoids by their sum before taking the length."),
            Wrong("softmax instead of sigmoid", a.softmax_shares,
                  "The router has sigmoids: logits.sigmoid(), then topk, then divide by the sum."),
        ),
        (),
        F32,
    ),
    Exercise(
        "6.5", "A loop over tokens and experts", 2, 5,
        (
            "gate_up_proj[e] is (2F, D): its first F rows make the gate, the other F the up part. silu is for the "
            "gate.",
            "gate, up = (gate_up_proj[e] @ x[t]).chunk(2); out[t] += weight * (down_proj[e] @ (F.silu(gate) * up)).",
        ),
        a.experts_loop,
        "Weighting the output keeps the layer linear in the weights; weighting the input would bend it through silu.",
        a.expert_cases,
        (
            Wrong("up rows first", a.up_first,
                  "The stack holds the gate rows first, then the up rows; silu belongs to the gate."),
            Wrong("weights forgotten", a.unweighted, "Multiply each expert's output by the token's weight for it."),
            Wrong("slot number as expert", a.slot_as_expert,
                  "k = 0, 1, ... counts the token's choices. The expert is indices[t, k]."),
            Wrong("input weighted", a.weighted_input,
                  "An expert is not linear, so weight * expert(x) is not expert(weight * x). Weight the output."),
        ),
        (),
        F32,
    ),
    Exercise(
        "6.6", "One product for each expert", 3, 6,
        (
            "token, slot = (indices == e).nonzero(as_tuple=True) are the places where expert e was chosen.",
            "Compute F.linear(x[token], ...) once for all of them, multiply by weights[token, slot, None], and "
            "out.index_add_(0, token, ...).",
        ),
        a.experts_grouped,
        "A product of many rows reads an expert's matrices once. Grouping by expert is what makes sparse layers fast; "
        "the fast kernels sort instead of searching.",
        a.expert_cases,
        (
            Wrong("still token by token", a.experts_loop,
                  "Right numbers, one token at a time. Turn the loops around: over experts, each with all its tokens."),
            Wrong("later experts overwrite earlier ones", a.overwritten,
                  "A token has K experts. out[token] = ... keeps the last one only: use index_add_."),
            Wrong("the first slot's weight for all", a.first_slots_weight,
                  "The weight stands where the expert was found: weights[token, slot], not weights[token, 0]."),
            Wrong("first choices only", a.first_choice_only,
                  "indices[:, 0] is one of K choices. Look for e in all columns of indices."),
        ),
        (a.few_products,),
        F32,
    ),
    Exercise(
        "6.7", "Measure imbalance", 1, 2,
        (
            "Compare the busiest expert with the even share, which is the mean of the counts.",
            "counts.max() / counts.float().mean() - 1, so that perfect balance gives 0.",
        ),
        a.max_violation,
        "Experts live on different devices and all wait for the busiest one, so its excess is what balance costs in "
        "time.",
        a.count_cases,
        (
            Wrong("largest distance, up or down", a.largest_deviation,
                  "An idle expert delays nobody. Only the busiest counts: max, not the largest absolute difference."),
            Wrong("share of all tokens", a.share_of_tokens, "Divide by the even share, counts.mean(), not by the sum."),
            Wrong("ratio without minus one", a.busiest_ratio, "Subtract 1: perfect balance is 0."),
            Wrong("busiest over idlest", a.max_over_min, "Compare with the mean; the minimum may be 0."),
        ),
        (),
        F32,
    ),
    Exercise(
        "6.8", "Move the bias", 2, 5,
        (
            "The sign of (mean - count): +1 for an expert with too few tokens, -1 for one with too many.",
            "sign = (counts.float().mean() - counts.float()).sign(); add rate * (sign - sign.mean()) in place.",
        ),
        update_selection_bias,
        "A fixed step is robust: early counts are wild, and a step in proportion would throw the bias about. Without "
        "the mean, all biases would drift together.",
        a.update_cases,
        (
            Wrong("the wrong way round", a.rich_get_richer,
                  "Overloaded experts must lose bias. The sign is that of mean - count."),
            Wrong("proportional to the excess", a.proportional,
                  "Only the sign counts: every step is `rate`."),
            Wrong("all biases drifting", a.drifting,
                  "Subtract the mean of the signs: three idle experts and one busy one would lift the whole bias."),
            Wrong("replaced instead of moved", a.replaced,
                  "Add to the bias in place. It must remember all steps, like an integral controller."),
        ),
        (a.keeps_the_mean,),
        F32,
        a.updated_bias,
    ),
    Exercise(
        "6.9", "Balance within a sequence", 4, 7,
        (
            "zeros.index_add(0, segment, values) sums the rows of each sequence: do it with `chosen` and with the "
            "scores.",
            "frequency = zeros.index_add(0, segment, chosen) * experts / (steps * top_k); mean_score = the same sum of "
            "scores / steps.",
        ),
        sequence_aux_loss,
        "Counts have no gradient, scores have one. The product pushes down the scores of experts that are busy in "
        "this sequence.",
        a.routing_cases,
        (
            Wrong("the whole batch as one sequence", a.one_long_sequence,
                  "Balance is asked of each sequence: sum by `segment`, not over all tokens."),
            Wrong("K forgotten", a.not_per_choice,
                  "A token makes K choices: divide counts by steps * top_k, so that even load has frequency 1."),
            Wrong("sum over sequences", a.summed_over_sequences,
                  "Divide by the number of sequences that have tokens, or long batches would weigh more."),
            Wrong("scores normalised over the experts", a.normalised_scores,
                  "P is the mean of the bare sigmoid scores in the released code; they need not sum to 1."),
        ),
        (),
        F32,
    ),
    Exercise(
        "6.10", "What one layer holds, what a token uses", 2, 3,
        (
            "An expert has three matrices (gate, up, down) of hidden_size x moe_intermediate_size.",
            "The router and the shared experts serve every token; of the routed ones count all E, or K.",
        ),
        a.moe_parameters,
        "Memory grows with all experts, arithmetic with the chosen ones: that is the whole bargain.",
        a.cost_cases,
        (
            Wrong("two matrices an expert", a.two_matrices, "SwiGLU has three: gate, up and down."),
            Wrong("shared experts forgotten", a.shared_forgotten,
                  "n_shared_experts more experts are there, and every token uses them."),
            Wrong("the dense layer's width", a.dense_width,
                  "Experts have moe_intermediate_size; intermediate_size is the width of the first, dense layer."),
            Wrong("router of chosen experts only", a.router_partly_used,
                  "To choose K, a token needs the scores of all E experts: the entire router is in use."),
        ),
        (),
        F32,
    ),
)  # fmt: skip
