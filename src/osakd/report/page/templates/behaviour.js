"use strict";
// What JavaScript adds to a page that is whole without it: sorting, hiding a method, values on hover.
(() => {
  const number = (text) => {
    const found = text.replace(/−/g, "-").replace(/(\d),(?=\d{3})/g, "$1").match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/);
    return found ? Number(found[0]) : NaN;
  };
  const before = (a, b, words) => {
    const [x, y] = [number(a), number(b)];
    if (words || (isNaN(x) && isNaN(y))) return a.localeCompare(b, "en", { numeric: true });
    return isNaN(x) ? 1 : isNaN(y) ? -1 : x - y;
  };

  const buttoned = (part) => {
    const button = document.createElement("button");
    button.append(...part.childNodes);
    part.append(button);
    return button;
  };

  // A click on a table's head sorts it: numbers from large to small first, words from A to Z; empty cells stay last.
  for (const table of document.querySelectorAll("table")) {
    table.querySelectorAll("thead th").forEach((head, column) => {
      buttoned(head).addEventListener("click", () => {
        const words = head.classList.contains("w");
        const was = head.getAttribute("aria-sort");
        const down = was ? was === "ascending" : !words;
        for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const cell = (row) => row.children[column].textContent;
        const empty = (row) => !words && isNaN(number(cell(row)));
        const rows = [...table.tBodies[0].rows].sort((a, b) =>
          empty(a) - empty(b) || (down ? -1 : 1) * before(cell(a), cell(b), words));
        table.tBodies[0].append(...rows);
      });
    });
  }

  // A click in the legend hides a method in the charts and tables of its panel.
  for (const section of document.querySelectorAll(".panel")) {
    for (const entry of section.querySelectorAll(".legend li")) {
      const button = buttoned(entry);
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        const shown = button.getAttribute("aria-pressed") === "false";
        button.setAttribute("aria-pressed", String(shown));
        for (const part of section.querySelectorAll("figure [data-m], tbody tr")) {
          const same = part.dataset.m === entry.dataset.m || part.dataset.label === entry.dataset.label;
          if (same) part.classList.toggle("off", !shown);
        }
      });
    }
  }

  // Over a chart: the epoch under the pointer, and every method's value there, the largest first.
  for (const chart of document.querySelectorAll("svg.lines")) {
    const [left, top, right, bottom] = chart.dataset.frame.split(" ").map(Number);
    const [first, last] = chart.dataset.x.split(" ").map(Number);
    const lines = [...chart.querySelectorAll(".line")].map((line) => ({
      line,
      epochs: line.dataset.e.split(" ").map(Number),
      values: line.dataset.v.split(" "),
      spread: line.dataset.s ? line.dataset.s.split(" ") : null,
    }));
    const cursor = chart.querySelector("line").cloneNode();
    cursor.setAttribute("class", "cursor off");
    cursor.setAttribute("y1", top);
    cursor.setAttribute("y2", bottom);
    chart.append(cursor);
    const tip = document.createElement("div");
    tip.className = "tip off";
    chart.parentNode.append(tip);
    const leave = () => [cursor, tip].forEach((part) => part.classList.add("off"));
    chart.addEventListener("pointerleave", leave);
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      const scale = box.width / chart.viewBox.baseVal.width;
      const wanted = first + ((event.clientX - box.left) / scale - left) / (right - left) * (last - first);
      const seen = lines.filter((one) => !one.line.classList.contains("off"));
      const all = seen.flatMap((one) => one.epochs);
      if (!all.length) return leave();
      const epoch = all.reduce((a, b) => Math.abs(b - wanted) < Math.abs(a - wanted) ? b : a);
      const x = left + (epoch - first) / (last - first) * (right - left);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      const head = document.createElement("b");
      head.textContent = `epoch ${epoch}`;
      const found = seen.map((one) => ({ ...one, at: one.epochs.indexOf(epoch) })).filter((one) => one.at >= 0);
      found.sort((a, b) => b.values[b.at] - a.values[a.at]);
      tip.replaceChildren(head, ...found.map((one) => {
        const row = document.createElement("span");
        row.className = one.line.classList[1];
        const words = document.createElement("em");
        const spread = one.spread ? ` ± ${one.spread[one.at]}` : "";
        words.textContent = `${one.values[one.at]}${spread} ${chart.dataset.unit}  ${one.line.dataset.n}`;
        row.append(document.createElement("i"), words);
        return row;
      }));
      [cursor, tip].forEach((part) => part.classList.remove("off"));
      const place = x * scale;
      const beyond = place + 14 + tip.offsetWidth > box.width;
      tip.style.left = `${Math.max(0, beyond ? place - 14 - tip.offsetWidth : place + 14)}px`;
      tip.style.top = `${top * scale}px`;
    });
  }
})();
