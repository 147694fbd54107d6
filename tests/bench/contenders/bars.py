"""The picture of a result: a bar for each contender, in its three parts, as SVG that stands on light and dark pages."""

from html import escape
from typing import Any

from verdict import WORDS

WIDTH, LEFT, RIGHT, TOP, STEP, BAR = 860, 230, 70, 64, 46, 24
COLOURS = {"before_s": "#9aa7b5", "trials_s": "#2f7ebc", "after_s": "#c9b26a"}
PARTS = {"before_s": "before the first trial", "trials_s": "trials", "after_s": "after the last one"}
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.soft{fill:#57606a}.ends{stroke:#24292f;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9198a1}.ends{stroke:#e6edf3}}"
)


def draw(found: dict[str, Any]) -> str:
    """The SVG of a result, as verdict.py keeps it."""
    times, what, machine = found["times"], found["what"], found["machine"]
    scale = (WIDTH - LEFT - RIGHT) / max(each["whole_s"]["high"] for each in times.values())
    height = TOP + STEP * len(times) + 24
    title = (
        f"{what['trials']} LSTM trainings of {what['max_epochs']} epochs on {machine['cores']} cores: "
        "seconds from shell to shell"
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text x="0" y="16" font-weight="600">{escape(title)}</text>',
        f'<text x="0" y="38" class="soft">median of {len(found["rounds"])} rounds, line: lowest to highest; '
        f"{escape(machine['cpu'])}, {found['at'][:10]}</text>",
    ]
    at, foot = float(LEFT), height - 6
    for part, words in PARTS.items():
        lines.append(f'<rect x="{at:.0f}" y="{foot - 10}" width="11" height="11" fill="{COLOURS[part]}"/>')
        lines.append(f'<text x="{at + 16:.0f}" y="{foot}" class="soft">{words}</text>')
        at += 30 + 7 * len(words)
    for row, (name, spans) in enumerate(times.items()):
        lines += _bar(name, spans, TOP + STEP * row, scale)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(name: str, spans: dict[str, dict[str, float]], top: int, scale: float) -> list[str]:
    whole, middle = spans["whole_s"], top + BAR / 2
    # The parts' medians need not add up to the whole's: they are drawn as its shares.
    share = whole["median"] / sum(spans[part]["median"] for part in PARTS)
    lines = [
        f'<text x="{LEFT - 10}" y="{middle}" text-anchor="end" font-weight="600">{escape(name)}</text>',
        f'<text x="{LEFT - 10}" y="{middle + 15}" text-anchor="end" class="soft">{escape(WORDS[name])}</text>',
    ]
    x = float(LEFT)
    for part, colour in COLOURS.items():
        width = spans[part]["median"] * share * scale
        lines.append(f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
        x += width
    low, high = (LEFT + whole[end] * scale for end in ("low", "high"))
    lines.append(
        f'<path class="ends" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {top + 6}v12M{high:.1f} {top + 6}v12"/>'
    )
    lines.append(f'<text x="{max(x, high) + 8:.1f}" y="{middle + 5}">{whole["median"]:.1f}</text>')
    return lines
