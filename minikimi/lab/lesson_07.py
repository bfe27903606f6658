"""Exercises of lesson 07, Kimi-VL assembled: what `decoder.py`, `kimi_vl.py` and `checkpoint.py` do, step by step."""

from __future__ import annotations

import torch

from minikimi.lab import answers_07 as a
from minikimi.lab.exercise import Exercise, Wrong
from minikimi.model.checkpoint import official_tensors
from minikimi.model.decoder import DecoderLayer
from minikimi.model.kimi_vl import next_token_targets, pack_batch, place_features

F32 = (torch.float32,)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "7.1", "Write a turn as ids", 2, 5,
        (
            "Build the list piece by piece: control tokens by special(name), words by tokenizer.encode(words). Never "
            "join them as text.",
            "[special(f'<|im_{role}|>'), *tokenizer.encode(role), special('<|im_middle|>')], then each part, then "
            "special('<|im_end|>'). The word image is text: tokenizer.encode('image').",
        ),
        a.turn_ids,
        "encode never yields a control token, so whatever a user types stays between the turn's ids and cannot close "
        "it.",
        a.turn_cases,
        (
            Wrong("control tokens found in the text", a.control_tokens_found_in_text,
                  "You write the turn as one string and look for control tokens in it. So a user who types "
                  "<|im_end|> ends the turn, and can go on as the assistant. Place control tokens by id."),
            Wrong("control tokens typed out", a.all_typed_out,
                  "encode treats '<|im_user|>' as ordinary characters, and that is its purpose. The ids come from "
                  "tokenizer.special_id."),
            Wrong("one placeholder per picture", a.one_placeholder,
                  "A picture takes as many <|media_pad|> as it has tokens: the number in its part."),
            Wrong("a line break behind the turn", a.new_line_behind,
                  "Many chat formats put a line break between turns; this one has nothing there."),
            Wrong("[BOS] in front", a.begins_with_bos, "Kimi-VL's template has no [BOS], neither at the beginning of a "
                                                       "turn nor of a conversation."),
        ),
        (a.token_by_token,),
        F32,
        a.run_turn,
    ),
    Exercise(
        "7.2", "Label the answers only", 2, 4,
        (
            "A label for every token: the id itself in an assistant's turn behind the opening, -100 everywhere else.",
            "skipped = opening if role == 'assistant' else len(ids); labels += [-100] * skipped + ids[skipped:].",
        ),
        a.answer_labels,
        "The model must not learn to ask the user's questions. It must learn to stop, so the closing <|im_end|> "
        "counts.",
        a.conversation_cases,
        (
            Wrong("the opening is learnt too", a._labelled(opening=0),
                  "<|im_assistant|>, assistant and <|im_middle|> are written by the program that asks for an answer, "
                  "never by the model: skip `opening` tokens."),
            Wrong("<|im_end|> is not learnt", a._labelled(unlearnt_end=1),
                  "Without a label on the closing <|im_end|> the model never learns to stop."),
            Wrong("every role is learnt", a._labelled(roles=("system", "user", "assistant")),
                  "Only the assistant's turns count; the user's words get -100."),
            Wrong("shifted already", a.shifted_already,
                  "labels[t] belongs to token t itself. The shift by one comes later, in exercise 7.4; twice is one "
                  "too many."),
        ),
        (a.one_label_each,),
        F32,
    ),
    Exercise(
        "7.3", "Put image features into the stream", 2, 4,
        (
            "Find the places where input_ids equals the placeholder, compare their number with len(features), then "
            "place the rows in order.",
            "places = (input_ids == placeholder).nonzero()[:, 0]; x.index_put((places,), features.to(x.dtype)) makes "
            "a new tensor.",
        ),
        place_features,
        "The order of the features is the order of the placeholders, so text and pictures can mix freely. The "
        "comparison is the only thing that notices a wrong image size.",
        a.placing_cases,
        (
            Wrong("numbers not compared", a.placed_unchecked,
                  "Compare the number of placeholders with the number of features and raise a ValueError. A single "
                  "feature would be spread over all places without any error."),
            Wrong("written into x", a.placed_in_place,
                  "x is the embedding's output: writing into it breaks the gradient or the next use. index_put "
                  "without underscore returns a new tensor."),
            Wrong("added to the placeholder's embedding", a.added,
                  "A feature replaces the embedding of <|media_pad|>, which means nothing by itself."),
            Wrong("left in another dtype", a.own_dtype,
                  "The result must have the dtype of x: features.to(x.dtype), not x.float()."),
            Wrong("all in front", a.at_the_front,
                  "Features go where the placeholders stand, in the middle of the text."),
        ),
        (a.refuses_other_numbers, a.leaves_the_embeddings),
        run=a.run_place,
    ),
    Exercise(
        "7.4", "Shift within each sequence", 2, 3,
        (
            "roll(-1) puts each token's successor in its place. Which places of the pack now hold a stranger's token?",
            "targets = labels.roll(-1), then targets[cu_seqlens[1:].long() - 1] = ignore_index: the last place of "
            "every sequence.",
        ),
        next_token_targets,
        "In a pack, the last token of a conversation is followed by the first token of another one. Nothing about it "
        "can be known, and nothing should be learnt.",
        a.target_cases,
        (
            Wrong("predictions cross the borders", a.across_borders,
                  "Only the pack's very last place is cleared. Every sequence has a last place: cu_seqlens[1:] - 1."),
            Wrong("not shifted", a.not_shifted,
                  "A model that is asked for the token it reads learns to copy. The target of place t is label t + 1."),
            Wrong("shifted the other way", a.shifted_backwards,
                  "roll(1) asks for the token before, which the model has already seen. Use roll(-1)."),
            Wrong("the first place cleared", a.firsts_removed,
                  "The first place of a sequence has a successor. It is the last one, cu_seqlens[1:] - 1, that has "
                  "none."),
            Wrong("one shorter", a.one_shorter,
                  "Cutting the last place off works for one sequence. Here keep all T places; -100 says 'no target'."),
        ),
        (a.nothing_crosses,),
        F32,
    ),
    Exercise(
        "7.5", "From a padded batch to a pack", 3, 5,
        (
            "keep (B, T) is True at real tokens. input_ids[keep] reads them row by row; keep.sum(dim=1) are the "
            "lengths. A position is a place in the pack, less the place where its sequence starts.",
            "cu_seqlens = cumulative_lengths(keep.sum(dim=1)); cu_seqlens[:-1].long().repeat_interleave("
            "cu_seqlens.diff()) says for every token where its sequence starts: take it from arange.",
        ),
        pack_batch,
        "Without padding there is nothing to mask: the pack runs through the same code as training does, and padding "
        "costs no arithmetic.",
        a.batch_cases,
        (
            Wrong("padding counts in the positions", a.padding_counted,
                  "arange over the padded row gives the first real token a position behind its padding. Count in the "
                  "pack, where there is none."),
            Wrong("positions run on", a.running_on,
                  "Positions start at 0 again in every sequence; yours count through the whole pack. Attention would "
                  "not notice (only distances matter to it), but the cache stores every token at its position."),
            Wrong("counted from one", a.from_one, "The first real token stands at position 0, not at 1."),
            Wrong("padding packed as well", a.padding_kept,
                  "Padding takes no part: take input_ids[keep], and lengths from keep.sum(dim=1)."),
            Wrong("bounds without the leading 0", a.without_zero,
                  "S sequences have S + 1 bounds, the first is 0: cumulative_lengths(lengths) puts it there."),
        ),
        (a.starts_at_zero,),
        F32,
        a.run_pack,
    ),
    Exercise(
        "7.6", "The pre-norm decoder layer", 2, 4,
        (
            "Twice the same figure: add to x what a part makes of the norm of x. First attention, then the MLP.",
            "attended, entries = self.self_attn(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen); then "
            "self.feed_forward(x + attended, pinned), which ends with x + y.",
        ),
        DecoderLayer,
        "The stream x is only ever added to, so a gradient has a straight way from the loss to the first layer.",
        a.layer_cases,
        (
            Wrong("norm behind the sum", a.PostNorm,
                  "That is the transformer of 2017. Here each part reads a normed copy of x, and x itself is never "
                  "normed."),
            Wrong("a residual forgotten", a.NoResidual,
                  "Both parts add to the stream: x + attended, and then x + y."),
            Wrong("the stream itself normed", a.ResidualOfTheNorm,
                  "You overwrite x with its norm and add to that. Norm a copy: self_attn(self.input_layernorm(x), "
                  "...), but x + attended."),
            Wrong("both parts in parallel", a.Parallel,
                  "The MLP must read the stream after attention has been added to it."),
            Wrong("one norm for both", a.OneNorm,
                  "The MLP has a norm of its own, post_attention_layernorm, which stands behind attention and before "
                  "the MLP."),
        ),
        (),
        F32,
        a.run_layer,
    ),
    Exercise(
        "7.7", "The whole model", 3, 5,
        (
            "Pixels go through vision_tower and multi_modal_projector, ids through embed_tokens; place_features joins "
            "them; then decoder and lm_head.",
            "hidden, _ = decoder(x, batch.positions, batch.cu_seqlens, longest), where longest = "
            "int(batch.cu_seqlens.diff().max()); return lm_head(hidden).float().",
        ),
        a.packed_logits,
        "Behind the placing nothing knows about pictures any more: an image is a stretch of tokens in the stream.",
        a.pack_cases,
        (
            Wrong("no fence between conversations", a.no_fence,
                  "Pass all of batch.cu_seqlens to the decoder. With [0, T] every conversation reads the ones before "
                  "it."),
            Wrong("features added to the placeholders", a.added_features,
                  "place_features puts a feature in the place of the placeholder's embedding; you add the two."),
            Wrong("pictures left out", a.pictures_left_out,
                  "The embeddings of <|media_pad|> are still in the stream. Place the projected features there."),
            Wrong("the final norm twice", a.norm_twice,
                  "The decoder ends with its own norm: give its output to lm_head as it is."),
        ),
        (),
        F32,
        a.run_model,
    ),
    Exercise(
        "7.8", "Generate with the cache", 3, 5,
        (
            "In each round: forbid the placeholder, take the likeliest id, keep it, leave the loop if it is a stop "
            "id, decode one step.",
            "logits[:, placeholder] = -torch.inf; token = logits.argmax(dim=-1); ...; logits = head(decoder.decode("
            "decoder.embed_tokens(token), cache)).float().",
        ),
        a.greedy,
        "The cache remembers prompt and pictures, so a step costs one token. A sampled placeholder would stand for a "
        "picture that does not exist.",
        a.prompt_cases,
        (
            Wrong("the placeholder may be said", a.placeholder_sampled,
                  "Set the logit of model.config.media_placeholder_token_id to -inf in every round."),
            Wrong("goes on after a stop id", a.never_stops, "Leave the loop as soon as the new id is in stop_ids."),
            Wrong("the stop id is swallowed", a.stop_id_swallowed,
                  "Keep the stop id before you leave: the caller must see whether the answer ended or was cut off."),
            Wrong("the same token decoded again", a.prompt_fed_again,
                  "Each step must read the token that was just chosen, not the prompt's last one."),
        ),
        (a.only_words_and_an_end,),
        F32,
        a.run_greedy,
    ),
    Exercise(
        "7.9", "One official name per expert", 3, 4,
        (
            "tensor.unbind(0) gives one matrix per expert. In gate_up_proj each has 2F rows: gate first, then up.",
            "gate, up = matrix.chunk(2); yield f'{prefix}{e}.gate_proj.weight', gate; the same for up_proj; for the "
            "other stack f'{prefix}{e}.down_proj.weight', matrix.",
        ),
        official_tensors,
        "unbind and chunk give views: whoever copies a file's tensor into one of them fills the stack. So one function "
        "serves saving and loading.",
        a.name_cases,
        (
            Wrong("up rows first", a.up_rows_first,
                  "The stack holds the gate rows first. Swapped, the file loads without an error into a broken "
                  "model."),
            Wrong("rows take turns", a.rows_take_turns,
                  "The halves lie in blocks: chunk(2), not every other row."),
            Wrong("names without .weight", a.without_suffix,
                  "In the official model each matrix is the weight of a linear layer: ...gate_proj.weight."),
            Wrong("copies", a.copies,
                  "Loading writes into the tensors that you hand out. A clone would take the file's weights and be "
                  "thrown away."),
            Wrong("left stacked", a.left_stacked,
                  "The stacked names exist only here; the official file has three matrices for each expert."),
        ),
        (a.names_and_views,),
        F32,
        a.run_names,
    ),
    Exercise(
        "7.10", "Report what does not fit", 2, 3,
        (
            "Drop the derived names from found first; then differences of two sets of names, and shapes of what is in "
            "both.",
            "sorted(set(expected) - set(found)) is missing, the other way round is unexpected; misshapen runs over "
            "set(expected) & set(found).",
        ),
        a.key_report,
        "A weight that stays at its initial value gives no error, only nonsense. So nothing is loaded before all "
        "names and shapes agree.",
        a.report_cases,
        (
            Wrong("missing and unexpected swapped", a.report_swapped,
                  "Missing: the model expects it, the file lacks it. Unexpected: the file has it, the model has no "
                  "place for it."),
            Wrong("derived tables reported", a.derived_reported,
                  "The 27 inv_freq tables of the released file follow from the config; leave out names that "
                  "DERIVED.fullmatch finds."),
            Wrong("shapes not compared", a.shapes_ignored,
                  "A name that agrees says nothing about the shape: another vocabulary has the same names."),
            Wrong("misshapen counted as missing", a.misshapen_missing_too,
                  "A tensor of a wrong shape is there: list it as misshapen only."),
        ),
        (a.list_by_list,),
        F32,
    ),
    Exercise(
        "7.11", "Sort the parameters by part", 2, 3,
        (
            "Ask for the beginnings first (tower, projector, head, embedding), then for '.self_attn.', then for the "
            "routed experts.",
            "'.mlp.experts.' is the routed ones only; what is left with '_proj.' in its name is another MLP; the rest "
            "are norms and routers.",
        ),
        a.model_part,
        "The names tell the structure: which module, which layer, which matrix. The counts of the report are sums "
        "over them.",
        a.part_cases,
        (
            Wrong("shared experts among the routed", a.shared_as_routed,
                  "'experts.' also occurs in '.mlp.shared_experts.', which every token uses. Look for "
                  "'.mlp.experts.'."),
            Wrong("the router among the MLPs", a.router_as_mlp,
                  "'.mlp.gate.' is the router; the MLP's matrix is '.mlp.gate_proj.'. One letter more or less."),
            Wrong("all norms together", a.norms_together,
                  "A norm inside the tower, the projector or attention belongs to that part: ask for the part first."),
            Wrong("the first layer among the experts", a.first_layer_as_routed,
                  "Layer 0 has a dense MLP without experts: it belongs to the other MLPs."),
        ),
        (a.names_the_name,),
        F32,
        a.run_parts,
    ),
)  # fmt: skip
