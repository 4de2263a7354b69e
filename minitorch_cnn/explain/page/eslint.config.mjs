// The rules for the JavaScript of the pages; run by .ci/run.

const names = [
  "Blob", "DecompressionStream", "Event", "IntersectionObserver", "ImageData", "Response", "URL", "WorkerGlobalScope",
  "Worker", "atob", "clearInterval", "createImageBitmap", "document",
  "getComputedStyle", "navigator", "performance", "reportError", "self", "setInterval", "setTimeout", "window",
];

export default [
  {
    files: ["**/*.mjs"],
    languageOptions: { globals: Object.fromEntries(names.map((name) => [name, "readonly"])) },
    rules: {
      "constructor-super": "error", eqeqeq: "error", "no-const-assign": "error", "no-dupe-args": "error",
      "no-dupe-keys": "error", "no-fallthrough": "error", "no-redeclare": "error", "no-self-assign": "error",
      "no-shadow": "error", "no-undef": "error", "no-unreachable": "error", "no-unused-vars": "error", "no-var": "error",
      "prefer-const": "error", "max-depth": ["error", 4], "max-len": ["error", 120],
      "max-lines-per-function": ["error", 60],
    },
  },
];
