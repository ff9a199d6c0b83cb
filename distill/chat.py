# The chat format: special tokens, the template, and conversations as token ids with a mask of what is learnt.
#
#   <|bos|><|system|>…<|end|><|user|>…<|end|><|assistant|><think>\nsteps\n</think>\nanswer<|end|>
#
# Every assistant turn has a think block; without steps it is empty and written `<think></think>`. So both prefills of the
# dial (`<think>\n` on, `<think></think>\n` off) are trained, and neither is a prefix of the other.
PAD, BOS, USER, ASSISTANT, END, THINK, UNTHINK, SYSTEM = range(8)
SPECIALS = ("<|pad|>", "<|bos|>", "<|user|>", "<|assistant|>", "<|end|>", "<think>", "</think>", "<|system|>")
ROLES = {"user": USER, "assistant": ASSISTANT, "system": SYSTEM}

# Earlier assistant turns lose their steps: they were not shown in training either.
TEMPLATE = """\
{{- '<|bos|>' -}}
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
{{- '<|assistant|><think></think>\\n' -}}
{%- if '</think>' in message['content'] -%}
{{- message['content'].split('</think>')[-1] | trim -}}
{%- else -%}
{{- message['content'] | trim -}}
{%- endif -%}
{%- elif message['role'] == 'system' -%}
{{- '<|system|>' -}}{{- message['content'] | trim -}}
{%- else -%}
{{- '<|user|>' -}}{{- message['content'] | trim -}}
{%- endif -%}
{{- '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{%- if enable_thinking is defined and enable_thinking -%}
{{- '<|assistant|><think>\\n' -}}
{%- else -%}
{{- '<|assistant|><think></think>\\n' -}}
{%- endif -%}
{%- endif -%}
"""


def split_steps(content):
    """An assistant text → (steps, answer); steps is "" for an empty or missing think block."""
    if not content.startswith("<think>"):
        return "", content.strip()
    steps, close, answer = content.removeprefix("<think>").partition("</think>")
    if not close:
        raise ValueError(f"think block without an end: {content[:80]!r}")
    return steps.strip(), answer.strip()


def encode_turn(encode, role, content, steps=""):
    """One turn → (ids, mask). `encode` maps text to ids with specials disabled, so text cannot forge a turn.
    mask is 1 where the model must predict the token when only its own words count: not on the prefill, which the
    caller chooses, but from there to <|end|>."""
    if role != "assistant":
        ids = [ROLES[role], *encode(content.strip()), END]
        return ids, [0] * len(ids)
    newline = encode("\n")
    answer = [*encode(content.strip()), END]
    if not steps:
        head = [ASSISTANT, THINK, UNTHINK, *newline]
        return head + answer, [0] * len(head) + [1] * len(answer)
    # The steps are encoded with their line breaks, as a tokenizer sees them between two specials.
    inner = encode("\n" + steps + "\n")
    head = [ASSISTANT, THINK, *inner[: len(newline)]]
    tail = inner[len(newline):] + [UNTHINK, *newline] + answer
    return head + tail, [0] * len(head) + [1] * len(tail)


def prompt(encode, messages, think):
    """Messages [{role, content}] → ids of the chat prompt, ending in the chosen prefill."""
    ids = [BOS]
    for message in messages:
        ids += encode_turn(encode, message["role"], split_steps(message["content"])[1])[0]
    return ids + [ASSISTANT, THINK] + ([] if think else [UNTHINK]) + encode("\n")
