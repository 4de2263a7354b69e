// Runs the engine on the cases that a test wrote into a folder: node run.mjs GRAPH_MODULE FOLDER
//
// cases.json is a list of graphs. data.bin has float32 elements for each: constants, image, gradient of the output, and, if
// the graph has `pinned`, the output of each operation from the kernels; then backward takes these for its own. out.bin
// gets all variables, then the gradients of all variables and constants, 0 where there is none.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [engine, folder] = process.argv.slice(2);
const { Graph, finish } = await import(pathToFileURL(engine));
const { Tensor, sizeOf } = await import(pathToFileURL(engine.replace("graph.mjs", "tensor.mjs")));
const file = readFileSync(`${folder}/data.bin`);
const data = new Float32Array(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
let at = 0;
const next = (shape) => new Tensor(shape, data.slice(at, (at += sizeOf(shape))));

const results = [];
for (const description of JSON.parse(readFileSync(`${folder}/cases.json`, "utf8"))) {
  const graph = new Graph(description, description.constants.map(({ shape }) => next(shape)));
  const variables = [0, ...description.nodes.map((node) => node.writes)];
  const start = performance.now();
  const image = next(description.inputShape), last = description.nodes.at(-1), grad = next(last.shape);
  finish(graph.forward(image));
  const own = variables.map((id) => graph.value(id).data);
  if (description.pinned) for (const node of graph.forward(image)) node.output.data.set(next(node.shape).data);
  const middle = performance.now();
  finish(graph.backward(last.writes, grad));
  if (process.env.TIMES) console.log(`${(middle - start).toFixed(1)} ${(performance.now() - middle).toFixed(1)}`);
  const constants = description.constants.map((_, i) => -i - 1);
  const none = (id) => new Float32Array(graph.value(id).data.length);
  results.push(...own);
  for (const id of [...variables, ...constants]) results.push(graph.gradients.get(id)?.data ?? none(id));
}
const all = new Float32Array(results.reduce((sum, part) => sum + part.length, 0));
let to = 0;
for (const part of results) { all.set(part, to); to += part.length; }
writeFileSync(`${folder}/out.bin`, new Uint8Array(all.buffer));
