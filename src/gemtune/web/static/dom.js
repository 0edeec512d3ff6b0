// Building and changing elements. What comes from outside gets onto the page here and nowhere else, and only as
// textContent or as an attribute that no browser runs: no innerHTML, no style attribute, no URL.

const ATTRIBUTES = /^(aria-[a-z]+|class|colspan|data-[a-z]+|for|hidden|href|id|max|placeholder|role|scope|tabindex|title|type|value)$/;

/** Return a new element: attributes, `onclick` and the like, then children: elements, strings, or nothing. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) set(element, name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null && child !== ""));
  return element;
}

/** Set an attribute if it has another value; null removes it. */
export function set(element, name, value) {
  if (!ATTRIBUTES.test(name)) throw new Error(`not an attribute for this page: ${name}`);
  if (value == null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Set the text if it is another one, so that nothing is laid out again for nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Hide or show an element. */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

export const byId = (id) => document.getElementById(id);

/** Return a button that copies a text, and says so. */
export function copies(text, label) {
  const button = h("button", { type: "button", class: "quiet", "aria-label": `Copy ${label}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      say(button, "Copied");
    } catch {
      say(button, "Select it, and copy by hand"); // a page that came without TLS may not write to the clipboard
    }
  });
  return button;
}
