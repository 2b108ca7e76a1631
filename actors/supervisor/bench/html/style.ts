/** Light and dark as the reader's system has it; contrasts of text at least 4.5 to 1 in both (WCAG 2.2, 1.4.3). */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1b2025;--soft:#59636e;--rule:#d5dbe1;--paper:#fff;--card:#f6f8fa;--a:#1f5fc4;--b:#7aa7e8;--c:#c3d8f6;--good:#1a6b34;--bad:#a3310f;--warn:#8a4b08}
@media(prefers-color-scheme:dark){:root{--ink:#e7eaed;--soft:#a3adb8;--rule:#353d45;--paper:#12161a;--card:#1a2026;--a:#86b4f5;--b:#4579c4;--c:#284773;--good:#6fce8c;--bad:#ff9b7d;--warn:#eeb266}}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:76rem;margin:0 auto;padding:1.5rem 1.25rem 4rem}
h1{font-size:1.7rem;line-height:1.25;margin:.5rem 0}h2{font-size:1.2rem;margin:2.5rem 0 .75rem;padding-bottom:.3rem;border-bottom:1px solid var(--rule)}
.state{display:inline-block;font-size:.8rem;font-weight:600;padding:.1rem .6rem;margin-left:.6rem;border:1px solid currentColor;border-radius:1rem;vertical-align:middle;color:var(--good)}.state.partial{color:var(--bad)}
.lead{color:var(--soft);margin:.25rem 0 1rem}
.scroll{overflow-x:auto}.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--a);outline-offset:2px}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}caption{text-align:left;color:var(--soft);padding:.3rem 0}
th,td{text-align:left;padding:.35rem 1rem .35rem 0;border-bottom:1px solid var(--rule);vertical-align:top}thead th{color:var(--soft);font-weight:600}tbody th{font-weight:500}
td{white-space:nowrap}.prose td{white-space:normal}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
ul.notes{padding-left:1.2rem;color:var(--soft)}ul.warning{list-style:none;padding:.6rem 1rem;margin:1rem 0;background:var(--card);border-left:4px solid var(--warn);color:var(--warn)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,34rem),1fr));gap:1.25rem}
figure{margin:0;padding:1rem;background:var(--card);border:1px solid var(--rule);border-radius:.5rem;min-width:0}figcaption{font-weight:600;margin-bottom:.5rem}
svg{display:block;width:100%;height:auto}details{margin-top:.5rem;font-size:.875rem}summary{cursor:pointer;color:var(--soft)}
.legend{display:flex;gap:1.2rem;font-size:.8rem;color:var(--soft);margin:.3rem 0 0}.legend i{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem;border-radius:2px;vertical-align:-1px}
.grid{stroke:var(--rule)}.zero{stroke:var(--soft);stroke-dasharray:4 3}.whisker{stroke:var(--a);stroke-width:3}.tick,.mark{font-size:12px;fill:var(--soft)}.axis{font-size:12.5px;fill:var(--ink)}
.line{fill:none;stroke:var(--a);stroke-width:2}.dot,.p50{fill:var(--a)}.p90{fill:var(--b)}.p99{fill:var(--c)}i.p50{background:var(--a)}i.p90{background:var(--b)}i.p99{background:var(--c)}
@media print{body{max-width:none;padding:0}figure{break-inside:avoid}details{display:none}}`;
