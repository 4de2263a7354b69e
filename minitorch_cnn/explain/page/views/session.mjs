// The graph at work: in a Worker, so that the page stays alive, or in the page itself where no Worker can start.

import { Graph } from "../engine/graph.mjs";
import { Tensor } from "../engine/tensor.mjs";

// One request to a graph: { task, ... } as Session below sends it. Yields after each operation; returns the reply.
function* answer(graph, request) {
  if (request.task === "forward") {
    yield* graph.forward(new Tensor(request.shape, request.data));
    return graph.values;
  }
  if (request.task === "backward") {
    yield* graph.backward(request.id, new Tensor(request.shape, request.data));
    return graph.gradients;
  }
  if (request.task === "constant") graph.value(request.id).data.set(request.data);
  if (request.task === "silence") graph.silent.set(request.id, new Set(request.channels));
  if (request.task === "operation") graph.replace(request.index, request.op, request.hyper);
  return new Map();
}

function packed(tensors) {
  return [...tensors].map(([id, { shape, data }]) => [id, shape, data]);
}

function unpacked(entries) {
  return new Map(entries.map(([id, shape, data]) => [id, new Tensor(shape, data)]));
}

// What a Worker does: it gets the graph first, then requests, and answers each.
export function serve(scope) {
  let graph = null;
  scope.onmessage = ({ data }) => {
    if (!graph) {
      graph = new Graph(data.description, data.constants.map(([, shape, numbers]) => new Tensor(shape, numbers)));
      scope.postMessage("ready");
      return;
    }
    const steps = answer(graph, data);
    let step = steps.next();
    while (!step.done) step = steps.next();
    scope.postMessage(packed(step.value));
  };
}

// Wait for some milliseconds.
export const pause = (time) => new Promise((resolve) => { setTimeout(resolve, time); });

export class Session {
  // constants: Tensors; the page keeps its own copies of them, to show and to change them.
  constructor(description, constants, source) {
    Object.assign(this, { description, constants, source });
    this.values = new Map();
    this.gradients = new Map();
    this.last = Promise.resolve();
  }

  // Start the Worker; resolves to true where there is one.
  async start() {
    try {
      const url = URL.createObjectURL(new Blob([this.source], { type: "text/javascript" }));
      this.worker = new Worker(url);
      const ready = this.reply();
      this.worker.postMessage({
        description: this.description,
        constants: packed(this.constants.map((tensor, i) => [i, tensor])),
      });
      await ready;
    } catch {
      this.worker = null;
      const copies = this.constants.map(({ shape, data }) => new Tensor(shape, data.slice()));
      this.graph = new Graph(this.description, copies);
    }
    return Boolean(this.worker);
  }

  reply() {
    return new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data }) => resolve(data);
      this.worker.onerror = (event) => { event.preventDefault(); reject(new Error(event.message)); };
    });
  }

  // Requests are answered one after the other.
  ask(request) {
    this.last = this.last.then(() => this.run(request));
    return this.last;
  }

  async run(request) {
    if (this.worker) {
      const reply = this.reply();
      this.worker.postMessage(request);
      return unpacked(await reply);
    }
    const steps = answer(this.graph, request);
    let step = steps.next(), since = performance.now();
    while (!step.done) {
      if (performance.now() - since > 12) {
        await pause(0);
        since = performance.now();
      }
      step = steps.next();
    }
    return new Map(step.value);
  }

  async forward(image) {
    this.values = await this.ask({ task: "forward", ...image });
    this.gradients = new Map();
  }

  async backward(id, grad) {
    this.gradients = await this.ask({ task: "backward", id, ...grad });
  }

  // Give a constant other elements; the page's copy gets them, too.
  setConstant(id, data) {
    this.constants[-id - 1].data.set(data);
    return this.ask({ task: "constant", id, data: Float32Array.from(data) });
  }

  silence(id, channels) {
    return this.ask({ task: "silence", id, channels: [...channels] });
  }

  setOperation(index, op, hyper) {
    Object.assign(this.description.nodes[index], { op, hyper });
    return this.ask({ task: "operation", index, op, hyper });
  }

  value(id) {
    return id < 0 ? this.constants[-id - 1] : this.values.get(id);
  }
}
