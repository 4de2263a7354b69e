// Arrays with a shape: float32 elements in row-major order, images as (N, C, H, W).

export function sizeOf(shape) {
  return shape.reduce((product, length) => product * length, 1);
}

export class Tensor {
  constructor(shape, data) {
    this.shape = shape;
    this.data = data ?? new Float32Array(sizeOf(shape));
    if (this.data.length !== sizeOf(shape)) {
      throw new Error(`Tensor: data - expected ${sizeOf(shape)} elements for shape ${shape}, got ${this.data.length}`);
    }
  }

  like(data) {
    return new Tensor(this.shape, data);
  }
}

// Distance in memory between neighbours along each axis.
export function stridesOf(shape) {
  const strides = new Array(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

// For every element of an array of `shape`: the index that it has in memory with other strides and a start.
// A stride of 0 repeats; this one function serves broadcasting, transposition, padding and joining.
export function indicesBy(shape, strides, start = 0) {
  const indices = new Int32Array(sizeOf(shape));
  const count = new Array(shape.length).fill(0);
  let at = start;
  for (let i = 0; i < indices.length; i++) {
    indices[i] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      count[axis] += 1;
      at += strides[axis];
      if (count[axis] < shape[axis]) break;
      at -= count[axis] * strides[axis];
      count[axis] = 0;
    }
  }
  return indices;
}

// The strides with which an array of `shape` is read as if it had shape `wanted`, by the rules of broadcasting.
export function broadcastStrides(shape, wanted) {
  const own = stridesOf(shape);
  const ahead = wanted.length - shape.length;
  return wanted.map((length, axis) => (axis < ahead || shape[axis - ahead] === 1 ? 0 : own[axis - ahead]));
}

// Seen as (before, length, after): the axis in the middle, the others joined on both sides.
export function aroundAxis(shape, axis) {
  return [sizeOf(shape.slice(0, axis)), shape[axis], sizeOf(shape.slice(axis + 1))];
}
