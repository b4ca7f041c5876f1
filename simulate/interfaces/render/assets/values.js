"use strict";
/* Values of any shape: JSON in colour, long text folded. */
(() => {
  const { el, count } = Sim;
  const LONG = 900;
  const LINES = 14;
  const MOST = 3000;

  /** Text that folds when it is long. */
  Sim.longText = (text, props) => {
    const whole = String(text);
    const lines = whole.split("\n");
    const box = el("div", { dir: "auto", ...props, class: `text ${(props && props.class) || ""}` });
    if (whole.length <= LONG && lines.length <= LINES) {
      box.append(el("span", null, whole));
      return box;
    }
    const head = el("span", null, `${lines.slice(0, LINES).join("\n").slice(0, LONG)} …`);
    const button = el("button", { type: "button", class: "more" }, `show all ${count(whole.length)} characters`);
    button.addEventListener("click", () => box.replaceChildren(el("span", null, whole)));
    const cut = whole.match(/… \([\d,]+ more characters[^)]*\)$/);
    box.append(head, " ", button, cut ? el("span", { class: "dim" }, ` ${cut[0]}`) : "");
    return box;
  };

  /** A value as indented JSON. Text that is itself JSON is shown as what it holds. */
  Sim.value = (value) => {
    const opened = unwrap(value);
    if (typeof opened === "string") return Sim.longText(opened, { class: "mono" });
    const pre = el("pre", { class: "json", tabindex: "0" });
    const state = { left: MOST };
    write(pre, opened, 0, state);
    if (state.left <= 0) pre.append(el("span", { class: "dim" }, "\n… more than a page should hold; the file has the rest"));
    return pre;
  };

  /** A value on one line. */
  Sim.brief = (value, limit = 160) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const one = (text === undefined ? "" : text).replace(/\s+/g, " ");
    return one.length > limit ? `${one.slice(0, limit)}…` : one;
  };

  function unwrap(value) {
    if (typeof value !== "string" || !/^\s*[[{]/.test(value) || value.length > 200000) return value;
    try { return JSON.parse(value); } catch { return value; }
  }

  function write(into, value, depth, state) {
    if (state.left-- <= 0) return;
    if (value === null) { into.append(el("span", { class: "j-word" }, "null")); return; }
    if (typeof value === "object") { writeMany(into, value, depth, state); return; }
    if (typeof value === "string") {
      const text = JSON.stringify(value).replace(/\\n/g, "\n" + "  ".repeat(depth + 1)).replace(/\\"/g, '"');
      into.append(el("span", { class: "j-text", dir: "auto" }, text.length > 4000 ? `${text.slice(0, 4000)}… (${count(text.length - 4000)} more characters)` : text));
      return;
    }
    into.append(el("span", { class: typeof value === "number" ? "j-number" : "j-word" }, String(value)));
  }

  function writeMany(into, value, depth, state) {
    const isList = Array.isArray(value);
    const entries = Object.entries(value);
    const [open, close] = isList ? "[]" : "{}";
    if (!entries.length) { into.append(open + close); return; }
    const flat = depth < 40 && JSON.stringify(value).length < 64 && entries.every(([, entry]) => entry === null || typeof entry !== "object");
    const pad = flat ? " " : "\n" + "  ".repeat(depth + 1);
    into.append(open);
    entries.forEach(([key, entry], number) => {
      if (state.left <= 0) return;
      into.append(number ? "," : "", isList && flat && !number ? "" : pad);
      if (!isList) into.append(el("span", { class: "j-key" }, key), ": ");
      write(into, entry, depth + 1, state);
    });
    into.append(flat ? (isList ? "" : " ") : "\n" + "  ".repeat(depth), close);
  }
})();
