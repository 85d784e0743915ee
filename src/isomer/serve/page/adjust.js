// What adjustments make of a probability map, at the size of the preview; what is downloaded is adjusted at full size.

/**
 * Opacity of the object in each pixel, 0 to 255, as isomer.media.pictures makes it, with distances of a chamfer.
 * Lengths and areas of `look` are in pixels of this map.
 */
export function opacityOf(levels, width, height, look) {
  const { threshold, fill_holes: fillHoles, min_area: minArea, grow, shrink, feather } = look;
  const reach = Math.min(0.25, threshold, 1 - threshold);
  const ramp = Uint8ClampedArray.from({ length: 256 }, (_, p) => ((p / 255 - threshold) * 127.5) / reach + 127.5);
  let opacity = levels.map((level) => ramp[level]);
  if (fillHoles) fill(opacity, width, height);
  if (minArea > 0) clean(opacity, width, height, minArea);
  if (grow > 0) opacity = moved(opacity, width, height, grow, true);
  if (shrink > 0) opacity = moved(opacity, width, height, shrink, false);
  for (let pass = 0; feather > 0 && pass < 3; pass++) {
    opacity = blurred(blurred(opacity, width, height, feather), height, width, feather);
  }
  return opacity;
}

/** Spread from a pixel over those that are `open`, which it closes; returns them. */
function flood(open, width, height, start, withDiagonals) {
  const reached = [start];
  open[start] = 0;
  for (let next = 0; next < reached.length; next++) {
    const [x, y] = [reached[next] % width, Math.floor(reached[next] / width)];
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const [u, v] = [x + dx, y + dy];
        if (u < 0 || v < 0 || u >= width || v >= height || (!withDiagonals && dx && dy)) continue;
        if (!open[v * width + u]) continue;
        open[v * width + u] = 0;
        reached.push(v * width + u);
      }
    }
  }
  return reached;
}

function fill(opacity, width, height) {
  const outside = opacity.map((value) => (value < 128 ? 1 : 0));
  for (let i = 0; i < outside.length; i++) {
    const onBorder = i < width || i >= outside.length - width || i % width === 0 || i % width === width - 1;
    if (onBorder && outside[i]) flood(outside, width, height, i, false);
  }
  outside.forEach((isHole, i) => isHole && (opacity[i] = 255));
}

function clean(opacity, width, height, least) {
  const open = opacity.map((value) => (value > 0 ? 1 : 0));
  for (let i = 0; i < open.length; i++) {
    if (!open[i]) continue;
    const part = flood(open, width, height, i, true);
    if (part.reduce((area, j) => area + (opacity[j] > 127), 0) < least) for (const j of part) opacity[j] = 0;
  }
}

/** Move the border of what is at least half opaque by so many pixels, outwards or inwards. */
function moved(opacity, width, height, reach, grows) {
  const away = Float32Array.from(opacity, (value) => (value > 127 === grows ? 0 : 1e6));
  const step = (i, x, dx, j, cost) => {
    if (x + dx >= 0 && x + dx < width && j >= 0 && j < away.length) away[i] = Math.min(away[i], away[j] + cost);
  };
  for (const sign of [1, -1]) {
    for (let n = 0; n < away.length; n++) {
      const i = sign > 0 ? n : away.length - 1 - n;
      const x = i % width;
      step(i, x, -sign, i - sign, 1);
      step(i, x, 0, i - sign * width, 1);
      step(i, x, -sign, i - sign * (width + 1), Math.SQRT2);
      step(i, x, sign, i - sign * (width - 1), Math.SQRT2);
    }
  }
  return Uint8ClampedArray.from(away, (distance) => 255 * (grows ? reach + 1 - distance : distance - reach));
}

/** Average along the rows over about so many pixels, and turn rows into columns. */
function blurred(opacity, width, height, reach) {
  const turned = new Uint8ClampedArray(opacity.length);
  const half = Math.max(1, Math.round(reach / 2));
  for (let y = 0; y < height; y++) {
    const at = (x) => opacity[y * width + Math.max(0, Math.min(width - 1, x))];
    let sum = 0;
    for (let x = -half; x <= half; x++) sum += at(x);
    for (let x = 0; x < width; x++) {
      turned[x * height + y] = sum / (2 * half + 1);
      sum += at(x + half + 1) - at(x - half);
    }
  }
  return turned;
}
