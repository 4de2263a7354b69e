// The matrix product, in tiles of 4 x 4 sums that the browser can keep in registers.

const MR = 4; // rows of a tile
const NR = 4; // columns of a tile

// Copy MR rows of a (rows, depth) as depth x MR, rows beyond the end as zeros.
function packRows(a, first, rows, depth, panel) {
  for (let r = 0; r < MR; r++) {
    const inside = first + r < rows;
    for (let k = 0; k < depth; k++) panel[k * MR + r] = inside ? a[(first + r) * depth + k] : 0;
  }
}

// Copy NR columns of b (depth, columns) as depth x NR.
function packColumns(b, first, columns, depth, panel) {
  const width = Math.min(NR, columns - first);
  for (let k = 0; k < depth; k++) {
    for (let c = 0; c < NR; c++) panel[k * NR + c] = c < width ? b[k * columns + first + c] : 0;
  }
}

// The micro-kernel: tile[r, c] = sum over k of a[k, r] * b[k, c], with panels that lie in memory as they are read.
function microKernel(a, aStart, b, depth, tile) {
  let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
  let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
  for (let k = 0, i = aStart, j = 0; k < depth; k++, i += MR, j += NR) {
    const b0 = b[j], b1 = b[j + 1], b2 = b[j + 2], b3 = b[j + 3];
    const a0 = a[i], a1 = a[i + 1], a2 = a[i + 2], a3 = a[i + 3];
    s00 += a0 * b0; s01 += a0 * b1; s02 += a0 * b2; s03 += a0 * b3;
    s10 += a1 * b0; s11 += a1 * b1; s12 += a1 * b2; s13 += a1 * b3;
    s20 += a2 * b0; s21 += a2 * b1; s22 += a2 * b2; s23 += a2 * b3;
    s30 += a3 * b0; s31 += a3 * b1; s32 += a3 * b2; s33 += a3 * b3;
  }
  tile[0] = s00; tile[1] = s01; tile[2] = s02; tile[3] = s03;
  tile[4] = s10; tile[5] = s11; tile[6] = s12; tile[7] = s13;
  tile[8] = s20; tile[9] = s21; tile[10] = s22; tile[11] = s23;
  tile[12] = s30; tile[13] = s31; tile[14] = s32; tile[15] = s33;
}

// out (rows, columns) = a (rows, depth) x b (depth, columns), all row-major. Sums are made in double precision.
export function matmul(a, b, rows, depth, columns, out = new Float32Array(rows * columns)) {
  const blocks = Math.ceil(rows / MR);
  const packedRows = new Float64Array(blocks * MR * depth);
  for (let block = 0; block < blocks; block++) {
    const panel = packedRows.subarray(block * MR * depth, (block + 1) * MR * depth);
    packRows(a, block * MR, rows, depth, panel);
  }
  const packedColumns = new Float64Array(NR * depth), tile = new Float64Array(MR * NR);
  for (let first = 0; first < columns; first += NR) {
    packColumns(b, first, columns, depth, packedColumns);
    const width = Math.min(NR, columns - first);
    for (let block = 0; block < blocks; block++) {
      microKernel(packedRows, block * MR * depth, packedColumns, depth, tile);
      const height = Math.min(MR, rows - block * MR);
      for (let r = 0; r < height; r++) {
        for (let c = 0; c < width; c++) out[(block * MR + r) * columns + first + c] = tile[r * NR + c];
      }
    }
  }
  return out;
}

// The transpose (columns, rows) of a row-major matrix (rows, columns).
export function transposed(a, rows, columns) {
  const out = new Float32Array(a.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = a[r * columns + c];
  }
  return out;
}
