for (const head of document.querySelectorAll("th[data-sort] button")) {
  head.addEventListener("click", () => {
    const cell = head.parentElement, row = cell.parentElement, body = row.closest("table").tBodies[0];
    const down = cell.getAttribute("aria-sort") !== "descending", column = cell.cellIndex;
    for (const other of row.cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (line) => line.cells[column].dataset.order ?? line.cells[column].textContent.trim();
    const known = (text) => text !== "" && text !== "–";
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (!known(x) || !known(y)) return known(y) - known(x);
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}
