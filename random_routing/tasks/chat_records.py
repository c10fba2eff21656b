"""Conversations as people have them → context and reply: texts, OpenAI's messages, ShareGPT's."""

from __future__ import annotations

from typing import Any

from random_routing.settings import FAULT
from random_routing.tasks.usable_records import HALF

# Names of a speaker → that of chat templates; instructions of a developer are those of the system.
ROLES = {
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "chatgpt": "assistant", "model": "assistant",
    "system": "system", "developer": "system",
}  # fmt: skip


class Unfit(Exception):
    """A conversation is of no use; the message says why, after "3 records …"."""


def exchange(value: Any, turns: int) -> dict[str, Any]:
    """`context` of so many turns and the `reply` to it, `system` where there are instructions; or why there are none.

    Texts without roles: the first turns and the next one. With roles: the first stretch of turns that ends with the
    user and is answered by the assistant; messages in a row of one person are one turn.
    """
    try:
        if not isinstance(value, list):
            raise Unfit(f"whose conversation {'is missing' if value is None else 'is no list'}")
        roles = [_role(message) for message in value]
        texts = [_text(message) for message in value]
        if not any(roles):
            return _window([("", text) for text in texts], turns)
        if not all(roles):
            raise Unfit("whose conversation has messages with and without a role")
        opening = next((i for i, role in enumerate(roles) if role != "system"), len(roles))
        if "system" in roles[opening:]:
            raise Unfit("whose conversation has instructions (system, developer) after its beginning")
        said = _joined(list(zip(roles[opening:], texts[opening:], strict=True)))
        system = "\n".join(filter(None, texts[:opening]))
        if HALF.search(system):
            raise Unfit("whose instructions hold half a character (a lone surrogate)")
        return _window(said, turns) | ({"system": system} if system else {})
    except Unfit as unfit:
        return {FAULT: str(unfit)}


def _role(message: Any) -> str:
    """As chat templates call it; empty where the message names none."""
    role = message.get("role", message.get("from")) if isinstance(message, dict) else None
    if role is None:
        return ""
    name = role.lower() if isinstance(role, str) else ""
    if name not in ROLES:
        raise Unfit(f"whose conversation has a message of {role!s:.20} (not user, assistant or system)")
    return ROLES[name]


def _text(message: Any) -> str:
    """Without white space at the ends. Content may come in parts, which must be texts."""
    content = message.get("content", message.get("value")) if isinstance(message, dict) else message
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    spoken = [text for text in texts if isinstance(text, str)]
    if not texts or len(spoken) < len(texts):
        raise Unfit("whose conversation has a message without text (a call of a tool, a picture)")
    return "\n".join(spoken).strip()


def _joined(said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    turns: list[tuple[str, str]] = []
    for role, text in said:
        if turns and turns[-1][0] == role:
            turns[-1] = (role, f"{turns[-1][1]}\n{text}".strip())
        else:
            turns.append((role, text))
    return turns


def _window(said: list[tuple[str, str]], turns: int) -> dict[str, Any]:
    for start in range(len(said) - turns):
        *context, (role, reply) = said[start : start + turns + 1]
        if (context[-1][0], role) in (("user", "assistant"), ("", "")):
            return {"context": [text for _, text in context], "reply": reply}
    raise Unfit(f"with fewer than {turns} turns before a reply")
