// Elements of a page, made in one call each.

export function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function button(text, onClick) {
  const made = make("button", { type: "button", textContent: text });
  made.addEventListener("click", onClick);
  return made;
}

export function choice(label, options, value, onChange) {
  const select = make("select", { ariaLabel: label, title: label }, ...options.map(([key, text]) =>
    make("option", { value: key, textContent: text, selected: key === value })));
  select.addEventListener("change", () => onChange(select.value));
  return select;
}
