// Draws a frame, and what its probability map makes of it. A video carries both: the frame above, the map below.
// The results look as isomer.media writes them.

import { opacityOf } from "./adjust.js";

const VIEWS = { overlay: 0, mask: 1, cutout: 2, heat: 3, composite: 4 };
const OUT_OF_FOCUS = 25; // of the frame's shorter side, the pixels it is shown with; as blur is by default

const VERTEX = `
attribute vec2 corner;
varying vec2 at;
void main() {
  at = vec2(corner.x, 1.0 - corner.y);
  gl_Position = vec4(2.0 * corner - 1.0, 0.0, 1.0);
}`;

const FRAGMENT = `
precision highp float;
uniform sampler2D both;
uniform vec2 size;  // of the frame, in pixels
uniform sampler2D adjusted;  // opacity
uniform sampler2D blurred;  // the frame
uniform vec4 behind;  // colour; alpha 0 is the blurred frame
uniform int view;
varying vec2 at;

const vec3 TINT = vec3(0.0, 0.588, 1.0);

// Half a pixel from the seam, where the two halves would mix.
vec2 inside(vec2 p) { return clamp(p, 0.5 / size, 1.0 - 0.5 / size) * vec2(1.0, 0.5); }
vec3 colour(vec2 p) { return texture2D(both, inside(p)).rgb; }
float probability(vec2 p) { return texture2D(both, inside(p) + vec2(0.0, 0.5)).r; }
float opacity(vec2 p) { return texture2D(adjusted, clamp(p, 0.5 / size, 1.0 - 0.5 / size)).r; }
float mask(vec2 p) { return step(0.5, opacity(p)); }

bool outline() {
  vec2 step = max(1.0, floor(min(size.x, size.y) / 240.0 + 0.5)) / size;
  float here = mask(at);
  return here != mask(at + vec2(step.x, 0.0)) || here != mask(at - vec2(step.x, 0.0))
      || here != mask(at + vec2(0.0, step.y)) || here != mask(at - vec2(0.0, step.y));
}

// Black, violet, red, orange, pale yellow: brighter all the way.
vec3 heat(float p) {
  vec3 low = mix(vec3(0.02, 0.02, 0.05), vec3(0.31, 0.07, 0.48), smoothstep(0.0, 0.3, p));
  vec3 high = mix(vec3(0.98, 0.53, 0.38), vec3(0.99, 0.97, 0.75), smoothstep(0.75, 1.0, p));
  return mix(mix(low, vec3(0.71, 0.21, 0.47), smoothstep(0.25, 0.55, p)), high, smoothstep(0.5, 0.8, p));
}

void main() {
  vec3 c = colour(at);
  if (view == 0) {
    float gray = dot(c, vec3(0.299, 0.587, 0.114));
    c = outline() ? mix(vec3(1.0), TINT, 0.3)
      : mask(at) > 0.5 ? mix(c, TINT, 0.42) : 0.45 * c + 0.3 * gray;
  } else if (view == 1) {
    c = vec3(mask(at));
  } else if (view == 2) {
    vec2 square = floor(at * size / 12.0);
    vec3 board = vec3(mod(square.x + square.y, 2.0) < 0.5 ? 0.16 : 0.22);
    c = mix(board, c, opacity(at));
  } else if (view == 4) {
    c = mix(behind.a > 0.5 ? behind.rgb : texture2D(blurred, at).rgb, c, opacity(at));
  } else {
    c = heat(probability(at));
  }
  gl_FragColor = vec4(c, 1.0);
}`;

export class Blender {
  constructor(original, result) {
    this.original = original;
    this.result = result;
    this.picture = original.getContext("2d");
    // Kept, so that "save image as" has an image to save.
    const gl = (this.gl = result.getContext("webgl", { preserveDrawingBuffer: true }));
    this.works = gl !== null;
    if (!this.works) return;
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.bindAttribLocation(program, 0, "corner");
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.places = Object.fromEntries(["size", "behind", "view"].map((name) => [name, gl.getUniformLocation(program, name)]));
    for (const [unit, name] of ["both", "adjusted", "blurred"].entries()) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      for (const axis of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, axis, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.uniform1i(gl.getUniformLocation(program, name), unit);
    }
    this.map = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    this.small = document.createElement("canvas").getContext("2d");
  }

  /**
   * Draw both panes from the one picture the video shows.
   *
   * `look` has the adjustments, lengths in pixels of the preview, and the colour `behind`, [r, g, b] up to 1, or null
   * for the frame out of focus.
   */
  draw(video, view, look) {
    const [width, height] = [video.videoWidth, video.videoHeight / 2];
    for (const canvas of [this.original, this.result, ...(this.works ? [this.map.canvas] : [])]) {
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    }
    this.picture.drawImage(video, 0, 0, width, height, 0, 0, width, height);
    if (!this.works) return;
    const { gl, places } = this;
    gl.viewport(0, 0, width, height);
    gl.activeTexture(gl.TEXTURE0);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, video);
    gl.activeTexture(gl.TEXTURE1);
    const opacity = this.opacity(video, width, height, look);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.LUMINANCE, width, height, 0, gl.LUMINANCE, gl.UNSIGNED_BYTE, opacity);
    if (view === "composite" && !look.behind) {
      gl.activeTexture(gl.TEXTURE2);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, this.outOfFocus(width, height));
    }
    gl.uniform2f(places.size, width, height);
    gl.uniform4f(places.behind, ...(look.behind ?? [0, 0, 0]), look.behind ? 1 : 0);
    gl.uniform1i(places.view, VIEWS[view]);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  opacity(video, width, height, look) {
    this.map.drawImage(video, 0, height, width, height, 0, 0, width, height);
    const { data } = this.map.getImageData(0, 0, width, height);
    const levels = new Uint8Array(width * height);
    for (let i = 0; i < levels.length; i++) levels[i] = data[4 * i];
    return new Uint8Array(opacityOf(levels, width, height, look));
  }

  outOfFocus(width, height) {
    const { canvas } = this.small;
    const scale = OUT_OF_FOCUS / Math.min(width, height);
    Object.assign(canvas, { width: Math.ceil(width * scale), height: Math.ceil(height * scale) });
    this.small.imageSmoothingQuality = "high";
    this.small.drawImage(this.original, 0, 0, canvas.width, canvas.height);
    return canvas;
  }
}
