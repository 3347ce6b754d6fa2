// What the page can do beyond what it shows: tips, a map to zoom into, and a guide along the steps.
"use strict";
(() => {
  const tip = document.getElementById("tip");
  const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

  const show = (text, x, y) => {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const below = y + 16 + box.height < innerHeight;
    tip.style.left = `${clamp(x + 12, 4, innerWidth - box.width - 4)}px`;
    tip.style.top = `${clamp(below ? y + 16 : y - box.height - 12, 4, innerHeight - box.height - 4)}px`;
  };
  const hide = () => { tip.hidden = true; };

  // Titles become tips: at once, at the keyboard too, and not twice.
  const tipped = (element) => {
    const text = element.title;
    element.removeAttribute("title");
    element.dataset.tip = text;
    element.addEventListener("pointermove", (event) => show(text, event.clientX, event.clientY));
    element.addEventListener("pointerleave", hide);
    element.addEventListener("blur", hide);
    element.addEventListener("focus", () => {
      if (!element.matches(":focus-visible")) return;
      const box = element.getBoundingClientRect();
      show(text, box.left + box.width / 2, box.top + box.height / 2);
    });
  };

  // One tab stop for many cells: arrows go to the next cell in their direction.
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const middle = (element) => {
    const box = element.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const next = (cells, from, [dx, dy]) => {
    const [x, y] = middle(from);
    let best = null, least = Infinity;
    for (const cell of cells) {
      const [cx, cy] = middle(cell);
      const along = (cx - x) * dx + (cy - y) * dy;
      const aside = Math.abs((cx - x) * dy) + Math.abs((cy - y) * dx);
      const cost = along + 2 * aside;
      if (cell !== from && along > 0.5 && cell.offsetWidth && cost < least) [best, least] = [cell, cost];
    }
    return best;
  };
  const roving = (holder, role) => {
    const cells = [...holder.querySelectorAll(".cell")];
    for (const [index, cell] of cells.entries()) {
      cell.setAttribute("role", role);
      cell.setAttribute("aria-label", cell.title.replaceAll("\n", ", "));
      tipped(cell);
      cell.tabIndex = index ? -1 : 0;
      cell.addEventListener("focus", () => {
        for (const other of cells) other.tabIndex = -1;
        cell.tabIndex = 0;
      });
    }
    holder.addEventListener("keydown", (event) => {
      const way = ways[event.key];
      const to = way && next(cells, document.activeElement, way);
      if (way) event.preventDefault();
      if (to) to.focus();
    });
    return cells;
  };

  for (const map of document.querySelectorAll(".map")) {
    const cells = roving(map, "button");
    const crumb = document.createElement("div");
    crumb.className = "crumb";
    map.before(crumb);
    map.classList.add("live-js");
    const zoom = (group) => {
      hide();
      for (const other of map.querySelectorAll(".group")) other.classList.toggle("on", other === group);
      map.classList.toggle("zoomed", group !== null);
      crumb.textContent = group ? "" : map.querySelectorAll(".group").length > 1 ? "Click a group, or press Enter on it, to zoom in." : "";
      if (!group) return;
      const back = document.createElement("button");
      back.type = "button";
      back.textContent = map.dataset.all;
      back.addEventListener("click", () => { zoom(null); (cells.find((cell) => cell.tabIndex === 0) ?? cells[0]).focus(); });
      crumb.append(back, ` › ${group.dataset.label}`);
    };
    const toggle = (group) => zoom(map.classList.contains("zoomed") ? null : group);
    map.addEventListener("click", (event) => {
      const group = event.target.closest(".group");
      if (group) toggle(group);
    });
    map.addEventListener("keydown", (event) => {
      const group = document.activeElement.closest(".group");
      if (group && (event.key === "Enter" || event.key === " ")) {
        event.preventDefault();
        toggle(group);
        document.activeElement.focus();
      } else if (event.key === "Escape") zoom(null);
    });
    zoom(null);
  }

  for (const time of document.querySelectorAll(".time")) {
    const plot = time.querySelector(".live"), rows = [...time.parentElement.querySelectorAll(".steps tbody tr")];
    roving(time.querySelector(".places"), "img");
    for (const title of plot.querySelectorAll("title")) title.remove();
    const guides = [...time.querySelectorAll(".plot")].map((place) => {
      const guide = document.createElement("div");
      guide.className = "guide";
      guide.hidden = true;
      place.append(guide);
      return guide;
    });
    let at = 0;
    const point = (index, x, y) => {
      at = clamp(index, 0, rows.length - 1);
      const [step, kernel, live, alive] = [...rows[at].cells].map((cell) => cell.textContent);
      for (const guide of guides) {
        guide.hidden = false;
        guide.style.left = `${100 * at / rows.length}%`;
        guide.style.width = `${100 / rows.length}%`;
      }
      const box = plot.getBoundingClientRect();
      show(`Step ${step} ${kernel}\n${live} bytes alive\n${alive.replaceAll(", ", "\n")}`, x ?? box.left + box.width * (at + .5) / rows.length, y ?? box.top + 20);
    };
    const leave = () => {
      hide();
      for (const guide of guides) guide.hidden = true;
    };
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-label", "Bytes alive; arrows go from step to step");
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      point(Math.floor((event.clientX - box.left) / box.width * rows.length), event.clientX, event.clientY);
    });
    plot.addEventListener("pointerleave", leave);
    plot.addEventListener("blur", leave);
    plot.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -rows.length, End: rows.length }[event.key];
      if (move) { event.preventDefault(); point(at + move); }
      if (event.key === "Escape") leave();
    });
  }

  for (const element of document.querySelectorAll("[title]")) tipped(element);
  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
