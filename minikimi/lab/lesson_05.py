"""Exercises of lesson 05, latent attention: what `minikimi/model/attention.py` does, step by step."""

from __future__ import annotations

import torch

from minikimi.lab import answers_05 as a
from minikimi.lab.exercise import Exercise, Wrong

F32 = (torch.float32,)
BOTH = (torch.float32, torch.bfloat16)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "5.1", "One query looks back", 1, 3,
        (
            "Three steps: a score for each key (dot product times scale), softmax over the scores, a sum of values.",
            "scores = [q @ key * scale for key in keys]; torch.stack(scores).softmax(0); then add weight * value.",
        ),
        a.attend_one,
        "The new token needs every earlier key and value again, and only its own query. So keys and values are kept, "
        "queries are not.",
        a.one_cases,
        (
            Wrong("scores without the scale", a.one_unscaled,
                  "Multiply every score by `scale` before the softmax; without it the weights become too sharp."),
            Wrong("a scale of your own", a.one_root,
                  "Use the `scale` that is passed in. In latent attention it is not the width of what you multiply."),
            Wrong("no softmax", a.one_without_softmax,
                  "Scores may be negative and do not sum to 1. Turn them into weights with a softmax first."),
            Wrong("only the best key", a.one_best,
                  "argmax takes one value; attention takes the mean of all values, weighted by the softmax."),
        ),
        (a.stays_between,),
        F32,
    ),
    Exercise(
        "5.2", "RMSNorm", 1, 4,
        (
            "Square, mean over the last axis (keepdim), add eps, then the inverse root: torch.rsqrt.",
            "normed = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps); cast to x.dtype, "
            "then times weight.",
        ),
        a.rms_normalise,
        "eps stands inside the root, beside a mean of squares: so 1e-6 means sizes of about 0.001.",
        a.norm_cases,
        (
            Wrong("eps outside the root", a.eps_outside,
                  "eps is added to the mean square, inside the root, not to the root mean square itself."),
            Wrong("the mean removed", a.mean_removed,
                  "That is LayerNorm. RMSNorm subtracts nothing, it only divides by the root mean square."),
            Wrong("sum instead of mean", a.sum_for_mean,
                  "Divide by the root of the MEAN square, so that entries end near 1 whatever the width."),
            Wrong("weight forgotten", a.weight_forgotten,
                  "After the division each channel is multiplied by its own learnt weight."),
        ),
    ),
    Exercise(
        "5.3", "Make what is cached", 3, 5,
        (
            "One matrix makes R + d_rope numbers: the latent first, the rotary key after it. Only the latent is "
            "normed, only the key is turned.",
            "F.linear(x, weight).split([rank, len(weight) - rank], dim=-1); apply_rotary wants a head axis: "
            "k_rope[:, None] in, [:, 0] out.",
        ),
        a.latents,
        "The norm is taken before caching and the key is turned before caching: both are done once per token, "
        "never again.",
        a.latent_cases,
        (
            Wrong("eps 1e-5", a.latents_eps_5,
                  "Every other RMSNorm of the model has 1e-5, this one has 1e-6. Some ports get it wrong."),
            Wrong("latent not normed", a.latents_not_normed,
                  "The latent passes through an RMSNorm with weight `gain` before it is cached."),
            Wrong("key not turned", a.latents_not_turned,
                  "The key carries the position: turn it with apply_rotary before it is cached."),
            Wrong("key before latent", a.latents_key_first,
                  "The first R rows of the matrix make the latent, the last d_rope rows the key."),
            Wrong("key normed too", a.latents_key_normed,
                  "The norm covers the R numbers of the latent; the rotary key goes without a norm."),
        ),
    ),
    Exercise(
        "5.4", "From latents to keys and values", 2, 4,
        (
            "The rows of the matrix are sorted by head first: head 0's key and value, head 1's key and value, ...",
            "kv = F.linear(latent, weight).unflatten(-1, (heads, -1)); then split the last axis into nope and the "
            "rest.",
        ),
        a.expand,
        "Each head reads the same latent through its own two small matrices.",
        a.expand_cases,
        (
            Wrong("all keys before all values", a.keys_before_values,
                  "First cut the output into heads, then each head into key and value."),
            Wrong("value before key", a.values_first, "Within a head the key's channels stand first."),
            Wrong("heads as the inner axis", a.heads_innermost,
                  "unflatten(-1, (heads, -1)): the head is the outer, slowly changing axis."),
        ),
    ),
    Exercise(
        "5.5", "The training form", 3, 6,
        (
            "A score is the sum of two dot products: k_nope has a head axis, k_rope has none. Scale by the full width "
            "of a query.",
            'einsum("thd,shd->hts", q_nope, k_nope) + einsum("thd,sd->hts", q_rope, k_rope); mask where s > t: '
            "ones(T, T).triu(1).",
        ),
        a.attend,
        "Adding two scores is the same as joining the vectors: the query is nope + rope wide, and so is the scale.",
        a.attend_cases,
        (
            Wrong("scale of the first part only", a.attend_narrow_scale,
                  "The query has nope + rope channels: at 16B the scale is 192^-1/2, not 128^-1/2."),
            Wrong("no causal mask", a.attend_no_mask, "Token t may look at tokens 0 to t, not beyond: mask s > t."),
            Wrong("no position", a.attend_no_position, "The rotary part's score is missing: add q_rope times k_rope."),
            Wrong("one query for all heads", a.attend_summed_heads,
                  "Only the rotary KEY is shared. Every head keeps a rotary query of its own."),
        ),
        (a.past_only,),
    ),
    Exercise(
        "5.6", "Put a token into the cache", 2, 3,
        (
            "Sequences have different lengths, so each writes at a place of its own: index with two lists, rows and "
            "places.",
            "buffer[torch.arange(B), lengths.long()] = entries. A sequence that holds n tokens has places 0 to n - 1 "
            "filled.",
        ),
        a.put,
        "The buffer never moves and never grows, so a decoding step can be recorded once and replayed on a GPU.",
        a.put_cases,
        (
            Wrong("every entry into every sequence", a.put_everywhere,
                  "buffer[:, lengths] takes all rows for each place. Pair them: torch.arange(B) beside lengths."),
            Wrong("all at the longest one's place", a.put_at_longest,
                  "This leaves holes in the shorter sequences: sequence b writes at lengths[b]."),
            Wrong("one place too late", a.put_one_later, "Places count from 0: with n tokens stored, place n is free."),
            Wrong("one place too early", a.put_one_earlier,
                  "This overwrites the last token, and for an empty sequence index -1 is the buffer's END."),
            Wrong("a copy", a.put_in_a_copy, "Write into the given buffer itself: copying it costs its whole size."),
        ),
        (),
        BOTH,
        a.run_put,
    ),
    Exercise(
        "5.7", "Decode by expanding the cache", 3, 5,
        (
            "Split the buffer into latents and rotary keys, expand the latents, then attend as before, with one query "
            "per sequence.",
            'scores: einsum("bhd,blhd->bhl", q_nope, k_nope) + einsum("bhd,bld->bhl", q_rope, k_rope); '
            "ops.masked_softmax(scores * scale, lengths).",
        ),
        a.decode_expanded,
        "A causal mask is not needed, all entries are in the past; but entries beyond a sequence's length are not its "
        "own.",
        a.decode_cases,
        (
            Wrong("stale entries read", a.decode_unmasked,
                  "Entries from lengths[b] on are leftovers or zeros; use ops.masked_softmax(scores, lengths)."),
            Wrong("scores set to zero", a.decode_scores_zeroed,
                  "A score of 0 still gets weight exp(0) = 1. Masked scores must be minus infinity."),
            Wrong("scale of the first part only", a.decode_narrow_scale,
                  "The same scale as in training: (nope + rope)^-1/2."),
            Wrong("the new token left out", a.decode_blind_to_itself,
                  "`lengths` counts the new token already, and a token sees itself."),
        ),
    ),
    Exercise(
        "5.8", "Decode without expanding", 4, 7,
        (
            "q . (W c) = (W^T q) . c: move the query into the latent space, attend to latents there, and move the "
            "result out with the value half.",
            'w_key, w_value = weight.unflatten(0, (H, -1)) split along axis 1; q_latent = einsum("bhd,hdr->bhr", '
            'q_nope, w_key); at the end einsum("bhr,hdr->bhd").',
        ),
        a.decode_absorbed,
        "The same sum with its brackets set differently: the small side (one query) passes through the matrix, not the "
        "long side (the whole cache).",
        a.decode_cases,
        (
            Wrong("scaled by the latent's width", a.absorbed_latent_scale,
                  "The scores are the same numbers as before, so the scale is too: (nope + rope)^-1/2, not "
                  "(R + rope)^-1/2."),
            Wrong("key and value halves swapped", a.absorbed_halves_swapped,
                  "The query goes in through the key half, the result comes out through the value half."),
            Wrong("left in the latent space", a.absorbed_left_in_latent,
                  "The weighted mean of latents has R numbers; w_value turns it into each head's d_v."),
            Wrong("keys and values expanded after all", a.decode_expanded,
                  "Right numbers, wrong bill: only the query and the result may meet the weight, never the cache."),
        ),
        (a.never_expands,),
    ),
    Exercise(
        "5.9", "Bytes of a conversation", 2, 3,
        (
            "Full: every head keeps a key (qk_head_dim) and a value (v_head_dim). Latent: one of each kind for all "
            "heads together.",
            "full = heads * (qk_head_dim + v_head_dim), latent = kv_lora_rank + qk_rope_head_dim; times layers, "
            "tokens and 2 bytes.",
        ),
        a.cache_bytes,
        "576 numbers instead of 5,120 per token and layer, nearly nine times fewer; the number of heads no longer "
        "counts.",
        a.bytes_cases,
        (
            Wrong("a rotary key per head", a.bytes_key_per_head, "All heads share one rotary key: count it once."),
            Wrong("one layer", a.bytes_one_layer, "Every layer keeps a cache of its own: times num_hidden_layers."),
            Wrong("keys without values", a.bytes_keys_only,
                  "A full cache holds values too: v_head_dim more numbers per head."),
            Wrong("the latent stored twice", a.bytes_latent_twice,
                  "Keys and values come from the same latent. It is stored once."),
        ),
        (),
        F32,
    ),
)  # fmt: skip
