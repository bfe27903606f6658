"""Exercises of lesson 00, the tour: what one does around a model that sees, before one looks inside."""

from __future__ import annotations

import torch

from minikimi.answers import normalise
from minikimi.benchmarks.screenspot import inside
from minikimi.lab import answers_00 as a
from minikimi.lab.exercise import Exercise, Wrong

F32 = (torch.float32,)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "0.1", "A question about several pictures", 1, 3,
        (
            "Collect parts in a list: for each picture a label, if there are several pictures, and the picture; last "
            "the question.",
            'enumerate(images, 1) counts from 1; a picture is {"type": "image", "image": image}; return [{"role": '
            '"user", "content": parts}].',
        ),
        a.question_turn,
        "The model reads pictures and words in one row. A question that stands behind the pictures can look back at "
        "them; "
        "pictures behind it could not change how it was read.",
        a.turn_cases,
        (
            Wrong("question first", a.question_first,
                  "The question belongs behind the pictures, as in training; a part can only look back at earlier "
                  "ones."),
            Wrong("numbers from zero", a.numbered_from_zero,
                  "People and training data count pictures from 1: enumerate(images, 1)."),
            Wrong("a label on a lone picture", a.always_numbered,
                  "A single picture carries no label: write one only where len(images) > 1."),
            Wrong("a message for every part", a.message_per_image,
                  "All parts belong to one user message: its content is the list of parts."),
            Wrong("a message instead of a conversation", a.not_in_a_list,
                  "A conversation is a list of messages, also when there is only one: put it in a list."),
        ),
        (a.parts_in_order,),
        F32,
    ),
    Exercise(
        "0.2", "Bring an answer to its plain form", 1, 2,
        (
            "str.split() without an argument cuts at any run of blanks; join the words with one blank each.",
            '" ".join(text.split()), and then removesuffix(".") takes one closing full stop.',
        ),
        normalise,
        "Forgive what carries no meaning, blanks and a closing full stop, and nothing else: every further kindness "
        "raises "
        "the score without the model being better.",
        a.text_cases,
        (
            Wrong("capitals lost", a.lower_case,
                  "MQK printed on a sign is not mqk: reading capitals is what is examined, so leave case alone."),
            Wrong("all full stops removed", a.all_full_stops,
                  "0.75 became 075. Only the full stop at the very end may go: removesuffix."),
            Wrong("blanks inside left", a.ends_only,
                  "strip() trims the ends only; two blanks or a line break between words stay. Split and join."),
            Wrong("no blanks at all", a.no_blanks, 'Words run together: join them with a blank, " ".join(...).'),
            Wrong("closing full stop kept", a.full_stop_kept,
                  '"page 3." should count as "page 3": take one closing full stop away.'),
        ),
        (a.text_by_text,),
        F32,
    ),
    Exercise(
        "0.3", "From words to a point, strictly", 2, 4,
        (
            "CLICK.fullmatch(normalise(text)) gives a match or None. What do you do with None, and with 1.20?",
            "x, y = float(match[1]), float(match[2]); raise ValueError if there is no match or one exceeds 1; return "
            "x * width, y * height.",
        ),
        a.parse_click,
        "An output is untrusted input. A parser that guesses turns a badly worded answer into a real click somewhere.",
        a.click_cases,
        (
            Wrong("width and height swapped", a._click(point=lambda x, y, w, h: (x * h, y * w)),
                  "x runs along the width, y along the height: x * width, y * height."),
            Wrong("a click found inside other words", a._click(pattern=a.CLICK.search),
                  "search finds a click anywhere in a sentence. fullmatch accepts only a text that is nothing but a "
                  "click."),
            Wrong("points outside accepted", a._click(outside=True),
                  "The pattern also fits 1.20 and 7.00. Fractions of a picture end at 1: refuse what is larger."),
            Wrong("fractions instead of pixels", a._click(point=lambda x, y, w, h: (x, y)),
                  "The answer is a fraction of each side; multiply by width and height to get pixels."),
            Wrong("the match is not examined", a.match_not_examined,
                  "fullmatch returns None where the text does not fit: test for that and raise a ValueError."),
        ),
        (a.refuses_what_is_no_click, a.point_on_this_picture),
        F32,
        a.run_click,
    ),
    Exercise(
        "0.4", "Point in box", 1, 2,
        (
            "Two conditions, one for each axis, joined by `and`.",
            "left <= x <= right and top <= y <= bottom, with x, y = point.",
        ),
        inside,
        "Any point in the box counts: a click on the ear opens the cat as well as one on the nose. Edges belong to "
        "the box.",
        a.box_cases,
        (
            Wrong("edges left out", a.edges_open, "A point on the edge is inside: <= on both sides."),
            Wrong("y before x", a.rows_first,
                  "Tensors index rows first, but a point is (x, y) and a box starts with left, a matter of x."),
            Wrong("sizes taken for edges", a.sizes_for_edges,
                  "The last two numbers are the right and the bottom edge, not a width and a height."),
            Wrong("one axis is enough", a.one_axis_is_enough,
                  "`or` accepts a whole row and a whole column of the picture. Both axes must fit: `and`."),
        ),
        (a.point_by_point,),
        F32,
    ),
    Exercise(
        "0.5", "How many tokens is a picture?", 2, 3,
        (
            "Each side is padded up to a multiple of 28 px. 28 px are two patches, and one token is 2 x 2 patches.",
            "rows = 2 * math.ceil(height / 28), columns = 2 * math.ceil(width / 28), tokens = rows * columns // 4.",
        ),
        a.image_grid,
        "Padding up to 28 px loses nothing of the picture and lets patches merge 2 x 2. Cost follows the area: twice "
        "the "
        "side is four times the tokens.",
        a.size_cases,
        (
            Wrong("width and height swapped", a.sides_swapped,
                  "Rows come from the height, columns from the width, and rows are returned first."),
            Wrong("cut off instead of padded", a.floored,
                  "Floor throws away up to 27 px at the edge. Padding rounds up: math.ceil."),
            Wrong("padded to 14 px", a.padded_to_14,
                  "14 px is a patch, but tokens take patches 2 x 2: pad to 28 px, so that rows and columns are even."),
            Wrong("one token for each patch", a.token_per_patch,
                  "The projector merges 2 x 2 patches into one token: divide by 4."),
            Wrong("grid in tokens", a.grid_of_tokens,
                  "Rows and columns are asked in patches of 14 px, two for each 28 px."),
        ),
        (a.even_rows, a.size_by_size),
        F32,
    ),
    Exercise(
        "0.6", "Blindfold the model", 2, 3,
        (
            "Build a new message for each old one; where the content is a list, keep the parts that are not images.",
            '{**message, "content": [part for part in content if part["type"] != "image"]}; a content that is a '
            'string stays.',
        ),
        a.without_pictures,
        "The blind score says how much can be guessed from the question alone. Only what lies above it is seeing.",
        a.conversation_cases,
        (
            Wrong("changed in place", a.in_place,
                  "The caller still needs the pictures. Copy the message: {**message, 'content': ...}."),
            Wrong("whole messages dropped", a.whole_messages_dropped,
                  "The question stands in the same message as the picture, and must stay."),
            Wrong("only the first picture removed", a.first_picture_only,
                  "A clip has several pictures in one message: keep every part that is not an image, drop all that "
                  "are."),
            Wrong("labels removed too", a.question_only,
                  "Drop the pictures and nothing else: 'Frame 1:' is text and stays, or two things change at once."),
            Wrong("later turns forgotten", a.first_message_only,
                  "Later messages carry pictures too: go through all of them."),
        ),
        (a.leaves_the_original, a.the_parts_left),
        F32,
        a.run_blind,
    ),
    Exercise(
        "0.7", "How sure is a score?", 2, 3,
        (
            "right[picks] is (draws, n): every row is one resampled examination. What is its score?",
            "means = right[picks].mean(dim=1); then means.quantile(0.025) and means.quantile(0.975).",
        ),
        a.mean_interval,
        "Had we drawn other questions, the score would differ. Drawing again from our own answers shows by how much.",
        a.answer_cases,
        (
            Wrong("quantiles of the answers", a.answers_not_means,
                  "Answers are only 0 or 1. Take the mean of each resample first, then the quantiles of these means."),
            Wrong("lowest and highest", a._interval(lambda means: (means.min(), means.max())),
                  "The extremes grow with the number of draws. 95 % lie between the quantiles 0.025 and 0.975."),
            Wrong("5 % on either side", a._interval(a.quantiles(0.05, 0.95)),
                  "That leaves out 10 % in all. A 95 % interval leaves out 2.5 % on each side."),
            Wrong("one standard deviation", a._interval(a.one_deviation),
                  "One standard deviation to each side covers about 68 %. Take quantiles, which need no bell shape."),
            Wrong("mean over the wrong axis", a._interval(a.quantiles(0.025, 0.975), dim=0),
                  "dim=0 averages over the draws and nearly returns the same number n times. A score is a mean over "
                  "n: dim=1."),
        ),
        (a.mean_lies_inside, a.holds_95_percent),
        F32,
    ),
    Exercise(
        "0.8", "Parameters that one token uses", 2, 4,
        (
            "Subtract what rests: in each layer with experts, n_routed_experts - num_experts_per_tok of them.",
            "An expert is 3 * hidden_size * moe_intermediate_size; the layers with experts are num_hidden_layers - "
            "first_k_dense_replace.",
        ),
        a.used_parameters,
        "Memory is paid for all experts, arithmetic only for those chosen: that is the bargain of a mixture of "
        "experts.",
        a.config_cases,
        (
            Wrong("experts in every layer", a.every_layer,
                  "The first first_k_dense_replace layers have an ordinary network and no experts."),
            Wrong("two matrices an expert", a._used(matrices=2),
                  "An expert has three matrices: gate, up and down."),
            Wrong("shared experts rest too",
                  a._used(experts=lambda t: t.n_routed_experts + t.n_shared_experts - t.num_experts_per_tok),
                  "Shared experts see every token: they never rest."),
            Wrong("a share of everything", a.share_of_everything,
                  "Only routed experts are chosen among; attention, embeddings and the vision tower work for every "
                  "token."),
        ),
        (),
        F32,
    ),
)  # fmt: skip
