// Opens each file with Netron's own parser, the way its window does, and prints how many nodes its graph has.
//
//     node netron.mjs FOLDER FILE ...
//
// FOLDER holds Netron's sources: the package `netron` of npm (FOLDER/source) or of PyPI.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(path.join(folder, name)).href);
const { ModelFactoryService } = await load("view.js");
const { BinaryStream } = await load("base.js");

class Host {
    environment() {
        return null;
    }
    event() {}
    exception(error) {
        throw error;
    }
    async require(id) {
        return load(`${id}.js`);
    }
}

class File {
    constructor(name) {
        this.identifier = path.basename(name);
        this.stream = new BinaryStream(new Uint8Array(fs.readFileSync(name)));
        this.entries = new Map();
    }
    async asset(name) {
        return fs.readFileSync(path.join(folder, name), "utf-8");
    }
    async require(id) {
        return load(`${id}.js`);
    }
    async fetch() {
        throw new Error("the file asks for another one");
    }
    error(error) {
        throw error;
    }
}

const service = new ModelFactoryService(new Host());
for (const name of files) {
    const model = await service.open(new File(name));
    const [graph] = model.modules;
    for (const node of graph.nodes) {
        if (!node.type.name || !node.type.inputs) { // known to Netron's table of operators
            throw new Error(`${name}: unknown operator ${node.type.name}`);
        }
    }
    console.log(`${name} ${model.format} ${graph.nodes.length}`);
}
