// Runs the engine on the cases that a test wrote into a folder: node run.mjs GRAPH_MODULE FOLDER
//
// cases.json is a list of { graph, constants, inputs, grads }, the last three counts of float32 elements in data.bin, in
// this order. out.bin gets all variables, then the gradients of all variables and constants, 0 where there is none.

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
  const start = performance.now();
  finish(graph.forward(next(description.inputShape)));
  const middle = performance.now();
  const last = description.nodes.at(-1);
  finish(graph.backward(last.writes, next(last.shape)));
  if (process.env.TIMES) console.log(`${(middle - start).toFixed(1)} ${(performance.now() - middle).toFixed(1)}`);
  const variables = [0, ...description.nodes.map((node) => node.writes)];
  const constants = description.constants.map((_, i) => -i - 1);
  const none = (id) => new Float32Array(graph.value(id).data.length);
  for (const id of variables) results.push(graph.value(id).data);
  for (const id of [...variables, ...constants]) results.push(graph.gradients.get(id)?.data ?? none(id));
}
const all = new Float32Array(results.reduce((sum, part) => sum + part.length, 0));
let to = 0;
for (const part of results) { all.set(part, to); to += part.length; }
writeFileSync(`${folder}/out.bin`, new Uint8Array(all.buffer));
