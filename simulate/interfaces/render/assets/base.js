"use strict";
/* What every page needs. Text from an agent reaches the page through `el` only, as a text node. */
window.Sim = (() => {
  const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu;

  /** Control and direction characters, made visible instead of obeyed. */
  function visible(text) {
    return String(text).replace(/\r\n/g, "\n").replace(UNSEEN, (char) => {
      const code = char.codePointAt(0);
      return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
    });
  }

  /** An element. Children are text (made visible) or nodes; nothing is ever parsed as HTML. */
  function el(tag, props, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "vars") for (const [key, entry] of Object.entries(value)) node.style.setProperty(key, entry);
      else node.setAttribute(name, value === true ? "" : visible(value));
    }
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : document.createTextNode(visible(child)));
    }
    return node;
  }

  /** The JSON of one inert script element, parsed when asked for. */
  function data(id) {
    const node = document.getElementById(id);
    return node ? JSON.parse(node.textContent) : null;
  }

  /** ISO 8601 as people read it. */
  const moment = (text) => String(text).replace("T", " ").replace(/\.\d+/, "").replace(/(Z|\+00:00)$/, " UTC");

  const known = (value) => value !== null && value !== undefined;

  function seconds(value) {
    if (!known(value)) return "–";
    if (value < 0.0000005) return "0 s";
    if (value < 0.001) return `${(value * 1e6).toFixed(0)} µs`;
    if (value < 0.9995) return `${(value * 1e3).toFixed(value < 0.01 ? 1 : 0)} ms`;
    if (value < 99.95) return `${value.toFixed(value < 9.995 ? 2 : 1)} s`;
    const whole = Math.round(value);
    return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, "0")} s`;
  }

  const dollars = (value) => (known(value) ? `$${value >= 1 ? value.toFixed(2) : value.toPrecision(3).replace(/\.?0+$/, "")}` : "–");
  const count = (value) => (known(value) ? Number(value).toLocaleString("en") : "–");
  const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

  const STATUS = {
    passed: { mark: "✓", word: "passed" },
    failed: { mark: "✗", word: "failed" },
    error: { mark: "!", word: "error" },
    not_run: { mark: "○", word: "not run" },
    flaky: { mark: "~", word: "flaky" },
    xpassed: { mark: "+", word: "xpassed" },
    xfailed: { mark: "x", word: "xfailed" },
    quarantined: { mark: "#", word: "quarantined" },
  };
  const status = (name) => STATUS[name] || { mark: "?", word: String(name) };

  function pill(name, side) {
    const { mark, word } = status(name);
    return el("span", { class: `pill is-${name}` }, el("span", { class: "mark", "aria-hidden": "true" }, mark), word,
      side && ["failed", "error", "not_run"].includes(name) ? el("span", { class: "side" }, side) : null);
  }

  /** Light, dark, or what the system says; kept where the browser lets a file keep things. */
  function themeButton() {
    const root = document.documentElement;
    const wish = matchMedia("(prefers-color-scheme: dark)");
    const read = () => root.dataset.theme || (wish.matches ? "dark" : "light");
    const store = (value) => { try { localStorage.setItem("simulate-theme", value); } catch { /* a file may keep nothing */ } };
    try {
      const kept = localStorage.getItem("simulate-theme");
      if (kept) root.dataset.theme = kept;
    } catch { /* likewise */ }
    const button = el("button", { type: "button", class: "quiet", title: "light or dark (t)" });
    const say = () => { button.textContent = read() === "dark" ? "☀ Light" : "☾ Dark"; };
    const toggle = () => {
      root.dataset.theme = read() === "dark" ? "light" : "dark";
      store(root.dataset.theme);
      say();
    };
    button.addEventListener("click", toggle);
    wish.addEventListener("change", say);
    say();
    return { button, toggle };
  }

  /** A button that copies what text() gives, and says whether it could. */
  function copyButton(name, text) {
    const button = el("button", { type: "button", class: "link" }, name);
    button.addEventListener("click", async () => {
      let done = true;
      try { await navigator.clipboard.writeText(text()); } catch { done = byHand(text()); }
      button.textContent = done ? "copied" : "the browser copies nothing";
      setTimeout(() => { button.textContent = name; }, 1500);
    });
    return button;
  }

  /** The old way, for pages that are not served over TLS. */
  function byHand(text) {
    const box = el("textarea", { class: "sr", "aria-hidden": "true" });
    box.value = text;
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    return done;
  }

  return { copyButton, el, data, visible, known, moment, seconds, dollars, count, plural, status, pill, themeButton, panels: [] };
})();
