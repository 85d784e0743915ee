// What the user marks on the picture at one frame: points of the object and others, and a box around it.

const NAMESPACE = "http://www.w3.org/2000/svg";
const LEAST = 0.01; // share of the frame's sides below which a box is a slip
const MOST = 64; // points of one kind that the server takes at once

export class Marks {
  /** `surfaces` are SVGs over the pictures; `changed` is called when there is another mark, `tool` says which. */
  constructor(surfaces, tool, changed) {
    Object.assign(this, { surfaces, tool, changed });
    this.clear();
    for (const surface of surfaces) {
      surface.addEventListener("pointerdown", (event) => this.begin(surface, event));
      surface.addEventListener("pointermove", (event) => this.move(surface, event));
      surface.addEventListener("pointerup", (event) => this.end(surface, event));
      surface.addEventListener("pointercancel", () => this.give_up());
    }
  }

  clear() {
    Object.assign(this, { frame: null, add: [], remove: [], box: null, corner: null });
  }

  get count() {
    return this.add.length + this.remove.length + (this.box ? 1 : 0);
  }

  /** As the server takes it. */
  get said() {
    const { frame, add, remove, box } = this;
    return { frame, add, remove, ...(box && { box }) };
  }

  /** Say which frame is shown, of which size. */
  show(frame, width, height) {
    this.shown = frame;
    for (const surface of this.surfaces) {
      surface.setAttribute("viewBox", `0 0 ${width} ${height}`);
      surface.classList.toggle("active", this.tool() !== "");
      surface.replaceChildren(...(frame === this.frame ? this.drawn(width, height) : []));
    }
  }

  *drawn(width, height) {
    const radius = Math.max(width, height) / 60;
    for (const [points, kind] of [[this.add, "add"], [this.remove, "remove"]]) {
      for (const [x, y] of points) {
        const stroke = `M${-radius / 2} 0H${radius / 2}${kind === "add" ? `M0 ${-radius / 2}V${radius / 2}` : ""}`;
        const mark = made("g", { class: kind, transform: `translate(${x * width} ${y * height})` });
        mark.append(made("circle", { r: radius }), made("path", { d: stroke }));
        yield mark;
      }
    }
    if (this.box) {
      const [x, y, across, down] = this.box;
      yield made("rect", { x: x * width, y: y * height, width: across * width, height: down * height });
    }
  }

  begin(surface, event) {
    const place = at(surface, event);
    if (!place || event.button) return;
    event.preventDefault();
    if (this.frame !== this.shown) {
      this.clear();
      this.frame = this.shown;
    }
    if (this.tool() === "box") {
      surface.setPointerCapture(event.pointerId);
      this.corner = place;
    } else if (this[this.tool()].length < MOST) {
      this[this.tool()].push(place);
    }
    this.changed();
  }

  move(surface, event) {
    if (!this.corner) return;
    const [x, y] = at(surface, event, true);
    const [left, right] = [Math.min(x, this.corner[0]), Math.max(x, this.corner[0])];
    const [top, bottom] = [Math.min(y, this.corner[1]), Math.max(y, this.corner[1])];
    this.box = [left, top, rounded(right - left), rounded(bottom - top)];
    this.changed();
  }

  end() {
    this.corner = null;
    if (this.box && Math.min(this.box[2], this.box[3]) < LEAST) this.box = null;
    this.changed();
  }

  give_up() {
    this.corner = null;
    this.changed();
  }
}

function made(name, attributes) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

const rounded = (share) => Math.floor(share * 1e4) / 1e4;

/** Where in the picture an event is, as shares of its sides; null outside, or the nearest place inside. */
function at(surface, event, clamped = false) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(surface.getScreenCTM().inverse());
  const { width, height } = surface.viewBox.baseVal;
  const place = [x / width, y / height];
  if (!clamped && place.some((share) => share < 0 || share > 1)) return null;
  return place.map((share) => rounded(Math.max(0, Math.min(1, share))));
}
