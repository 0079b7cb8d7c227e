"""The style sheet of the HTML page: one column on a phone, code side by side where there is room, light and dark."""

from typing import Final

STYLE: Final = """
:root { --bg: #fff; --fg: #1c2127; --dim: #5b6673; --line: #d9dee4; --box: #f5f7f9; --bad: #b3261e; --good: #1a7f47;
  --mark: #ffe3a3; --c0: #c0392b; --c1: #2468b4; --c2: #a06800; --c3: #6b3fa0; --c4: #147a6e; --c5: #6b7280;
  --hit: #2468b4 }
@media (prefers-color-scheme: dark) { :root { --bg: #15191e; --fg: #e4e8ec; --dim: #9aa5b1; --line: #343c46;
  --box: #1e242b; --bad: #ff8a80; --good: #6fd39b; --mark: #6a4b00; --c0: #ff8a80; --c1: #7db7f5; --c2: #e0b050;
  --c3: #c3a2f0; --c4: #6fd0c4; --c5: #a3adb8; --hit: #7db7f5 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1280px; padding: 16px; background: var(--bg); color: var(--fg);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5em; margin: 0 } h2 { font-size: 1.2em; margin: 1.6em 0 .5em; border-bottom: 1px solid var(--line) }
h3 { font-size: 1em; margin: 1.2em 0 .4em } h4 { font-size: .85em; margin: .4em 0; color: var(--dim);
  font-weight: 600 }
p { margin: .4em 0 } summary small { white-space: nowrap } small, footer { color: var(--dim) } footer {
  margin-top: 2em; font-size: .85em }
a { color: var(--c1) } ul { margin: .3em 0; padding-left: 1.3em }
pre, code { font: 13px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 6px; padding: 8px 10px; margin: .3em 0;
  overflow: auto; max-height: 30em; overflow-wrap: normal }
mark { background: var(--mark); color: inherit; border-radius: 2px; box-shadow: 0 0 0 2px var(--mark) }
.legend { display: block }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; margin-top: 14px }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; background: var(--box) }
.tile b { display: block; font-size: 1.5em; line-height: 1.2; font-variant-numeric: tabular-nums }
.tile span { color: var(--dim); font-size: .85em } .tile.bad b { color: var(--bad) } .tile.good b { color:
  var(--good) }
details { border: 1px solid var(--line); border-radius: 8px; padding: 4px 12px; margin: 6px 0 }
details details { border-style: dashed } details[open] { padding-bottom: 10px } summary { cursor: pointer;
  padding: 4px 0 }
.badge { background: var(--box); border: 1px solid var(--line); border-radius: 9px; padding: 0 8px; font-size: .8em;
  margin-right: 4px; white-space: nowrap }
.side { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 14px }
@media (max-width: 760px) { .side { grid-template-columns: minmax(0, 1fr) } body { padding: 10px } }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 12px; margin: .5em 0 } dt { color: var(--dim) }
dd { margin: 0 }
.wide { overflow-x: auto } table { border-collapse: collapse; overflow-wrap: normal }
th, td { text-align: left; padding: 4px 10px; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--dim); font-weight: 600; font-size: .85em } .number { text-align: right; font-variant-numeric:
  tabular-nums }
.row { display: grid; grid-template-columns: 160px 1fr; gap: 10px; align-items: center }
@media (max-width: 760px) { .row, .row.file { grid-template-columns: 1fr; gap: 0 } .axis span:empty { display: none } }
.row > span { font-size: .9em } .track { position: relative; height: 22px; border-bottom: 1px solid var(--line);
  margin-right: 12px }
.track i { position: absolute; top: 5px; width: 12px; height: 12px; border-radius: 50%; opacity: .8;
  margin-left: -6px }
.ticks { display: flex; justify-content: space-between; color: var(--dim); font-size: .8em }
.row.file { grid-template-columns: 260px 1fr }
.bar { background: var(--line); display: flex; height: 16px; border-radius: 4px; overflow: hidden }
.bar i { display: block }
.legend span { display: inline-block; margin-right: 14px; font-size: .85em }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px }
.c0 { background: var(--c0) } .c1 { background: var(--c1) } .c2 { background: var(--c2) } .c3 { background:
  var(--c3) }
.c4 { background: var(--c4) } .c5 { background: var(--c5) }
.map th, .map td { padding: 0 3px; font-size: 12px; height: 16px; border: 1px solid var(--line); white-space: nowrap }
.map th { vertical-align: bottom } .map th:first-child { position: sticky; left: 0; background: var(--bg) }
.map th span { writing-mode: vertical-rl; padding: 3px 0 }
.map .hit { background: color-mix(in srgb, var(--hit) var(--s), transparent); min-width: 16px }
"""
