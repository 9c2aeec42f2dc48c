/**
 * Classifies dermatoscopic images in a browser. For teaching and research: this is no medical device. Whatever a
 * picture shows, it gets a diagnosis: the check that refuses foreign pictures is not in this folder.
 *
 * npm install @litertjs/core@2.5.3, serve this folder and the package's folder wasm/, and in a module:
 *
 *   import { loadLiteRt } from "@litertjs/core";
 *   await loadLiteRt("/node_modules/@litertjs/core/wasm/"); // once
 *   const model = await load("/model/");
 *   const answer = await classify(model, await createImageBitmap(file));
 */
import { Tensor, loadAndCompile } from "@litertjs/core";

/** The model of a folder such as this one, by its address with "/" at the end. */
export async function load(folder) {
  const facts = await (await fetch(`${folder}model.json`)).json();
  return { facts, network: await loadAndCompile(`${folder}${facts.file}`, { accelerator: "wasm" }) };
}

/** Label, calibrated probabilities, malignancy score, and whether it reaches the operating point (null: there is none)
 * of what createImageBitmap takes: the browser has turned it upright and converted it to sRGB. */
export async function classify({ facts, network }, image) {
  const size = facts.input.size;
  // An <img> has the width at which it is shown, a bitmap that of the picture.
  const { data, width, height } = pixelsOf(image instanceof ImageBitmap ? image : await createImageBitmap(image));
  if (Math.min(width, height) < size) throw new RangeError(`expected at least ${size} x ${size} pixels`);
  const input = new Tensor(averageByArea(data, width, height, size), [1, size, size, 3]);
  const outputs = await network.run({ [facts.input.name]: input });
  const scaled = Array.from(outputs.logits.toTypedArray(), (logit) => logit / facts.temperature);
  for (const tensor of [input, ...Object.values(outputs)]) tensor.delete();
  const odds = scaled.map((value) => Math.exp(value - Math.max(...scaled)));
  const all = odds.reduce((a, b) => a + b);
  const probabilities = Object.fromEntries(facts.classes.map((code, k) => [code, odds[k] / all]));
  const label = facts.classes[scaled.indexOf(Math.max(...scaled))];
  const malignancy = facts.malignant.reduce((sum, code) => sum + probabilities[code], 0);
  const threshold = facts.malignancy_threshold;
  return { label, probabilities, malignancy, suspicious: threshold === null ? null : malignancy >= threshold };
}

/** RGBA pixels over white. */
function pixelsOf(image) {
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, image.width, image.height);
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height);
}

/** RGB bytes, size x size: each pixel is the mean of the area that it covers, as OpenCV's INTER_AREA has it. A canvas
 * resizes in another way, which changes the answers. */
export function averageByArea(rgba, width, height, size) {
  const rgb = new Uint8Array(size * size * 3);
  const halvesUp = width === 2 * size && height === 2 * size; // otherwise to even, as OpenCV rounds
  for (let row = 0; row < size; row++) {
    const top = (row * height) / size, bottom = ((row + 1) * height) / size;
    for (let column = 0; column < size; column++) {
      const left = (column * width) / size, right = ((column + 1) * width) / size;
      const sum = [0, 0, 0];
      for (let y = Math.floor(top); y < bottom; y++) {
        const tall = Math.min(bottom, y + 1) - Math.max(top, y);
        for (let x = Math.floor(left); x < right; x++) {
          const share = tall * (Math.min(right, x + 1) - Math.max(left, x));
          for (let c = 0; c < 3; c++) sum[c] += share * rgba[(y * width + x) * 4 + c];
        }
      }
      const area = (bottom - top) * (right - left);
      for (let c = 0; c < 3; c++) rgb[(row * size + column) * 3 + c] = rounded(sum[c] / area, halvesUp);
    }
  }
  return rgb;
}

function rounded(value, halvesUp) {
  const low = Math.floor(value), rest = value - low;
  return rest > 0.5 || (rest === 0.5 && (halvesUp || low % 2 === 1)) ? low + 1 : low;
}
