// The network as a list of operations in the order in which they run; forward along it, backward against it.

import { Conv2d, ConvTranspose2d } from "./conv.mjs";
import { BroadcastTo, Concat, Index, Pad, PadContinued, Reshape, Transpose } from "./movement.mjs";
import { BatchNorm, BatchNormReLU, GroupNorm, LayerNorm, LocalResponseNorm, RMSNorm } from "./norm.mjs";
import {
  Abs, Add, Clip, Div, ELU, Exp, GELU, HardSigmoid, HardSwish, LeakyReLU, Log, Maximum, Minimum, Mish, Mul, PReLU,
  Power, PowerOf, ReLU, ReLU6, SiLU, Sigmoid, Softplus, Sqrt, Sub, Tanh, Where,
} from "./pointwise.mjs";
import { AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, DilatedMaxPool2d, MaxPool2d } from "./pool.mjs";
import { Cumsum, Linear, LogSoftmax, MatMul, Max, Mean, Prod, Resize, Softmax, Sum, Var } from "./reduce.mjs";
import { Tensor } from "./tensor.mjs";

// By the names of the Python classes of the same operations.
export const operations = {
  Abs, AdaptiveAvgPool2d, AdaptiveMaxPool2d, Add, AvgPool2d, BatchNorm, BatchNormReLU, BroadcastTo, Clip, Concat,
  Conv2d, ConvTranspose2d, Cumsum, DilatedMaxPool2d, Div, ELU, Exp, GELU, GroupNorm, HardSigmoid, HardSwish, Index,
  LayerNorm, LeakyReLU, Linear, LocalResponseNorm, Log, LogSoftmax, MatMul, Max, MaxPool2d, Maximum, Mean, Minimum,
  Mish, Mul, PReLU, Pad, PadContinued, Power, PowerOf, Prod, RMSNorm, ReLU, ReLU6, Reshape, Resize, SiLU, Sigmoid,
  Softmax, Softplus, Sqrt, Sub, Sum, Tanh, Transpose, Var, Where,
};

// Parameters
//   description  what Python wrote: { input, output, nodes, constants, inputShape }. Nodes name inputs and outputs by
//                integers; a negative one is a constant.
//   constants    a Tensor for each entry of description.constants
export class Graph {
  constructor(description, constants) {
    Object.assign(this, { description, constants });
    this.values = new Map();
    this.gradients = new Map();
    this.silent = new Map(); // variable -> the set of its channels that are set to 0
    this.nodes = description.nodes.map((node) => {
      if (!(node.op in operations)) throw new Error(`Graph: operation - expected a known one, got ${node.op}`);
      return { ...node, operation: operations[node.op], hyper: this.settings(node.hyper) };
    });
  }

  // Let another operation do the work of a node, such as average for max pooling.
  replace(index, op, hyper) {
    Object.assign(this.nodes[index], { op, operation: operations[op], hyper: this.settings(hyper) });
  }

  // The settings of an operation, with the arrays among them.
  settings(hyper) {
    const made = Object.entries(hyper).map(([name, value]) => {
      if (value?.constant) return [name, this.value(value.constant)];
      if (value?.number) return [name, Number(value.number)];
      return [name, value?.indices ? Int32Array.from(value.indices) : value];
    });
    return Object.fromEntries(made);
  }

  // The Tensor of a variable or constant.
  value(id) {
    return id < 0 ? this.constants[-id - 1] : this.values.get(id);
  }

  // Run all operations on an image; yields after each, so that a page can stay alive meanwhile.
  *forward(image) {
    this.gradients.clear();
    this.set(this.description.input, image);
    for (const node of this.nodes) {
      node.inputs = node.reads.map((id) => (id === null ? null : this.value(id)));
      node.output = node.operation.forward(node);
      this.set(node.writes, node.output);
      yield node;
    }
  }

  set(id, tensor) {
    silence(tensor, this.silent.get(id));
    this.values.set(id, tensor);
  }

  // Go back from a gradient of one variable to the input and to all constants; yields after each operation.
  *backward(id, grad) {
    this.gradients = new Map([[id, grad]]);
    for (const node of [...this.nodes].reverse()) {
      const arrived = this.gradients.get(node.writes);
      if (!arrived) continue;
      silence(arrived, this.silent.get(node.writes)); // a constant 0 passes no gradient on
      node.operation.backward(node, arrived).forEach((part, i) => part && this.accumulate(node.reads[i], part));
      yield node;
    }
  }

  // A variable that is read twice gets the sum of both gradients.
  accumulate(id, part) {
    const before = this.gradients.get(id);
    if (!before) this.gradients.set(id, part);
    else this.gradients.set(id, before.like(before.data.map((value, i) => value + part.data[i])));
  }
}

// Set channels of (N, C, ...) to 0.
function silence(tensor, channels = []) {
  const size = tensor.data.length / (tensor.shape[0] * tensor.shape[1]);
  for (const channel of channels) {
    for (let n = 0; n < tensor.shape[0]; n++) {
      const first = (n * tensor.shape[1] + channel) * size;
      tensor.data.fill(0, first, first + size);
    }
  }
}

// The gradient with which backward starts from one element: 1 there, 0 elsewhere.
export function oneAt(shape, index) {
  const grad = new Tensor(shape);
  grad.data[index] = 1;
  return grad;
}

// The gradient of the cross-entropy of logits (1, K) for a class: softmax minus target.
export function lossGradient(logits, label) {
  const probabilities = Softmax.forward({ inputs: [logits], hyper: { axis: 1 } });
  probabilities.data[label] -= 1;
  return probabilities;
}

// Run a generator to its end without a pause, for tests and for a Worker.
export function finish(steps) {
  for (const step of steps) void step;
}
