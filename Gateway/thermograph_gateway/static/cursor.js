// Reads the temperature of one place in all pictures while the mouse or the arrow keys move over one of them.
// Without this script a press on a picture asks the server for the same.
"use strict";
const pictures = [...document.querySelectorAll("input.thermogram")].map((image) => ({
  image,
  columns: Number(image.dataset.columns),
  rows: Number(image.dataset.rows),
  output: image.closest("figure").querySelector("output"),
  mark: null,
  values: null,
}));
let place = { x: 0.5, y: 0.5 };

async function load(picture) {
  const answer = await fetch(picture.image.dataset.values, { credentials: "same-origin" });
  if (!answer.ok) {
    picture.output.textContent = "no values: " + answer.status;
    return;
  }
  picture.values = (await answer.json()).centikelvin;
}

function show(x, y) {
  place = { x: Math.min(Math.max(x, 0), 0.999999), y: Math.min(Math.max(y, 0), 0.999999) };
  for (const picture of pictures) {
    if (picture.values === null) continue;
    const column = Math.floor(place.x * picture.columns);
    const row = Math.floor(place.y * picture.rows);
    const value = picture.values[row * picture.columns + column];
    picture.output.textContent = value === 0 ? "no value" : (value / 100 - 273.15).toFixed(2) + " degC";
    if (picture.mark === null) {
      picture.mark = document.createElement("span");
      picture.mark.className = "mark";
      picture.image.parentElement.append(picture.mark);
    }
    picture.mark.style.left = ((column + 0.5) / picture.columns) * picture.image.clientWidth + "px";
    picture.mark.style.top = ((row + 0.5) / picture.rows) * picture.image.clientHeight + "px";
  }
}

for (const picture of pictures) {
  load(picture);
  picture.image.addEventListener("pointermove", (event) => {
    show(event.offsetX / picture.image.clientWidth, event.offsetY / picture.image.clientHeight);
  });
  picture.image.addEventListener("click", (event) => {
    event.preventDefault();
    if (event.detail > 0) show(event.offsetX / picture.image.clientWidth, event.offsetY / picture.image.clientHeight);
  });
  picture.image.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    show(place.x + step[0] / picture.columns, place.y + step[1] / picture.rows);
  });
}
