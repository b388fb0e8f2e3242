/**
 * The admin's list of who is here, kept up to date: while the page is seen, it asks for the list again every few
 * seconds, and changes only what is another. What is selected stays selected, and what has the focus keeps it.
 */

const EVERY = 3_000;

/** What Django's own script counts and selects, as it stands on the page now. It would keep to those of the beginning. */
const boxes = [];

const bind = window.Actions;
if (bind) window.Actions = (found, options) => bind(boxes, options);

document.addEventListener("DOMContentLoaded", () => {
  const bar = document.querySelector("#django-rooms-live");
  if (bar) new List(bar).start();
});

class List {
  constructor(bar) {
    this.bar = bar;
    this.wanted = bar.querySelector("input");
    this.timer = null;
  }

  start() {
    noteBoxes();
    this.bar.hidden = false;
    this.wanted.addEventListener("change", () => this.ask());
    document.addEventListener("visibilitychange", () => this.ask());
    this.askLater();
  }

  askLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), EVERY);
  }

  async ask() {
    clearTimeout(this.timer);
    if (!this.wanted.checked || document.hidden) return; // Either change asks again.
    if (await this.update()) this.askLater();
  }

  /** Whether to go on: not where somebody has to sign in again, for one. */
  async update() {
    let answer;
    try {
      answer = await fetch(location.href, { headers: { "X-Rooms-Live": "1" }, redirect: "manual" });
    } catch {
      answer = { status: 503 };
    }
    if (answer.status >= 500) {
      this.say(this.bar.dataset.failed);
      return true;
    }
    if (!answer.ok) {
      this.say(this.bar.dataset.over);
      return false;
    }
    this.show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    return true;
  }

  show(fresh) {
    this.say(fresh.querySelector('[role="status"]').textContent);
    const before = [...boxes];
    showRows(fresh.querySelector(".results"));
    showSame(".paginator", fresh);
    showSame("#changelist-search .quiet", fresh);
    noteBoxes();
    if (before.length !== boxes.length || before.some((box, at) => box !== boxes[at])) {
      countSelected(fresh.querySelector(".action-counter"));
    }
  }

  /** Said to screen readers only where it is news. */
  say(text) {
    const status = this.bar.querySelector('[role="status"]');
    if (status.textContent.trim() !== text.trim()) status.textContent = text.trim();
  }
}

function noteBoxes() {
  boxes.splice(0, boxes.length, ...document.querySelectorAll("tr input.action-select"));
}

function showRows(fresh) {
  const shown = document.querySelector("#result_list tbody");
  if (shown) {
    mergeRows(shown, [...(fresh?.querySelectorAll("tbody tr") ?? [])]);
  } else if (fresh) {
    document.querySelector("#changelist-form .changelist-footer, #changelist-form .paginator").before(fresh);
    noteBoxes();
    if (boxes.length) window.Actions?.(boxes);
  }
}

/** Rows that stay are never moved nor replaced, so that the focus stays in them. */
function mergeRows(shown, wanted) {
  const keys = new Set(wanted.map(keyOf));
  const known = new Map([...shown.rows].map((row) => [keyOf(row), row]));
  for (const [key, row] of known) if (!keys.has(key)) row.remove();
  let next = shown.firstElementChild;
  for (const row of wanted) {
    const same = known.get(keyOf(row));
    if (same) copyCells(same, row);
    if (same && same === next) next = next.nextElementSibling;
    else shown.insertBefore(same ?? row, next);
  }
}

/** The address of the member: there is one for whoever may see the list, and a box only for who may disconnect. */
function keyOf(row) {
  return new URL(row.querySelector("th a").getAttribute("href"), location.href).pathname;
}

function copyCells(row, wanted) {
  [...wanted.cells].forEach((cell, at) => {
    if (!cell.matches(".action-checkbox") && row.cells[at].innerHTML !== cell.innerHTML) {
      row.cells[at].innerHTML = cell.innerHTML;
    }
  });
}

function showSame(selector, fresh) {
  const [shown, wanted] = [document.querySelector(selector), fresh.querySelector(selector)];
  if (shown && wanted && shown.innerHTML !== wanted.innerHTML) shown.innerHTML = wanted.innerHTML;
}

/** How many of how many are selected: Django's own script says it whenever the page is shown, and now. */
function countSelected(wanted) {
  const counter = document.querySelector(".action-counter");
  if (!counter || !wanted) return;
  counter.dataset.actionsIcnt = wanted.dataset.actionsIcnt;
  window.dispatchEvent(new Event("pageshow"));
  if (!boxes.length) document.querySelector("#action-toggle").checked = false; // It takes all of none for all.
}
