"""`mcnn doctor`: what is installed, what this machine can do, and how long each recipe will take."""

from minitorch_cnn.cli.options import NETWORK, network, run_code
from minitorch_cnn.cli.parser import set_command

_BATCH = 128  # images, for networks without a recipe
_ALONE = 0.8  # share of its cores that a process gets, at least, where no other needs them


def add_commands(commands):
    """Add ``mcnn doctor``."""
    parser = commands.add_parser(
        "doctor",
        help="check this machine and forecast training times",
        description="Print versions, threads, the BLAS library, the cache of compiled kernels, measured speeds, and "
        "how long each recipe will take on this machine. This takes about two minutes the first time. Close other "
        "programs first: under load the figures are worthless, and the report says so.",
        examples=("mcnn doctor", "mcnn doctor --compile resnet20", "mcnn doctor --show-code"),
    )
    parser.add_argument(
        "--compile",
        nargs="?",
        const="cifar4",
        metavar="MODEL",
        help=f"only compile, in as many processes as there are cores, what training needs: {NETWORK} (default: cifar4)",
    )
    set_command(parser, _run, _code)


def _run(arguments):
    from minitorch_cnn import train

    if arguments.compile is not None:
        count = run_code(arguments)["count"]
        print(f"compiled   {count} kernels of {arguments.compile}; later runs find them in the cache")
        return
    with train.connect() as ranks:
        for line in layout(ranks):
            print(line, flush=True)
        if ranks.rank == 0:
            _report()
        ranks.first(None)  # so that the others wait quietly


def layout(ranks):
    """Yield a line for each machine that the ranks of ``mpiexec`` run on."""
    if ranks.size == 1:
        return
    threads = ranks.exchange(ranks.threads)
    for host in dict.fromkeys(host for host, _ in ranks.layout):
        here = [rank for rank, (name, _) in enumerate(ranks.layout) if name == host]
        cores = len({core for rank in here for core in ranks.layout[rank][1]})
        each = ", ".join(f"rank {rank}: {threads[rank]}" for rank in here)
        yield f"ranks      {len(here)} of {ranks.size} on {host}, cores: {cores}; threads of {each}"


def _report():
    import minitorch_kernels as kernels
    from minitorch_cnn import train

    reporter = train.Reporter()
    compiled = []
    forget = [
        kernels.runtime.jit.on_compile(reporter.compiling),
        kernels.runtime.jit.on_compile(lambda *name: compiled.append(name)),
    ]
    try:
        for line in report(compiled):
            reporter.end()
            print(line, flush=True)
    finally:
        for stop in forget:
            stop()


def report(compiled):
    """Yield the lines of the report.

    Parameters
    ----------
    compiled : list
        Grows by an entry for each kernel that is compiled meanwhile.

    Yields
    ------
    str
    """
    import minitorch_kernels as kernels
    from minitorch_cnn import train
    from minitorch_cnn.diagnose import measure
    from minitorch_cnn.train import machine
    from minitorch_cnn.train.report.reporter import duration

    yield "versions   " + ", ".join(f"{name} {version}" for name, version in machine.versions().items())
    cpu = machine.cpu()
    yield f"processor  {cpu['name']}" + (", AVX-512" if cpu["avx512"] else "")
    library = machine.blas()
    threads = f"{kernels.runtime.threads.get_num_threads()} for kernels, {library['threads']} for BLAS"
    yield f"threads    {threads}; `--threads N` or minitorch_cnn.set_num_threads(N) sets both"
    yield from _blas_lines(library, cpu, measure.blas_check)
    yield _cache_line(kernels.runtime)
    shares = [measure.share_of_cores()]
    yield from _busy_lines(shares[0])
    yield f"products   {measure.matmul_gflops():.0f} GFLOP/s by our own kernel"
    yield f"memory     {measure.memory_gbytes():.0f} GB/s read and written by a ReLU"
    yield "recipes    forecast"
    seconds = {}
    for recipe in train.RECIPES.values():
        if recipe.name.startswith("transfer"):  # their time depends on a file of weights: mcnn transfer forecasts it
            continue
        key = recipe.model, recipe.batch_size, measure.images_like(recipe.dataset, 1).images.shape
        seconds[key] = seconds.get(key) or measure.step_seconds(recipe)
        whole = duration(measure.forecast(recipe, seconds[key]))
        yield (
            f"  {recipe.name:<14} {recipe.epochs:>2} epochs on {recipe.dataset}: about {whole} "
            f"({1000 * seconds[key]:.0f} ms a step of {recipe.batch_size} images)"
        )
    shares.append(measure.share_of_cores())
    if shares[0] >= _ALONE:
        yield from _busy_lines(shares[1])
    yield f"compiled   {len(compiled)} kernels now; later runs find them in the cache"


def _busy_lines(share):
    """Yield a warning if other programs use the cores."""
    if share < _ALONE:
        yield (
            f"load       BUSY: other programs use the cores, and this one gets {share:.0%} of its own. The speeds and "
            "forecasts of this report are worthless: close the other programs and repeat"
        )


def _cache_line(runtime):
    folder = runtime.cache.cache_folder()
    if not runtime.jit.jit_enabled():
        return "kernels    not compiled: NUMBA_DISABLE_JIT is set, so everything runs slowly"
    if folder is None:
        return "kernels    cannot be kept: no cache folder is writable, so every process compiles anew; set MCNN_HOME"
    files = list(folder.rglob("*.kernel"))
    size = sum(path.stat().st_size for path in files) / 1e6
    state = f"{len(files)} compiled, {size:.1f} MB" if files else "empty"
    return f"kernels    cache {folder}: {state}"


def _blas_lines(library, cpu, check):
    """Yield the lines about BLAS.

    Parameters
    ----------
    library, cpu : dict
        As `machine.blas` and `environment.cpu` give them.
    check : callable
        `measure.blas_check`.
    """
    own = check(None)
    if own is None:
        yield f"BLAS       {library['library']} {library['version']}, core {library['core']}: CRASHED in the self-test"
        return
    yield (
        f"BLAS       {library['library']} {library['version']}, core {own['core']}: {_verdict(own)}, "
        f"{own['gflops']:.0f} GFLOP/s"
    )
    if library["library"] != "openblas" or not cpu["avx512"] or own["core"] not in ("Haswell", "Zen"):
        return
    # OpenBLAS takes its AVX2 kernels on some AVX-512 processors. The choice stays with the user:
    # some builds of the library crash with a core that it did not choose itself.
    other = check("SkylakeX")
    if other is None or other["error"] > 1:
        yield "           advice: leave OPENBLAS_CORETYPE alone; SkylakeX fails the self-test here"
    elif other["gflops"] > 1.1 * own["gflops"]:
        yield (
            f"           advice: OPENBLAS_CORETYPE=SkylakeX is {_verdict(other)} in the self-test and reaches "
            f"{other['gflops']:.0f} GFLOP/s; it matters for algorithm='im2col' and for NumPy's own products"
        )


def _verdict(check):
    return "right" if check["error"] <= 1 else f"WRONG (error {check['error']:.3g} times the bound)"


def _compile_code(arguments):
    from minitorch_cnn import models, train

    model, (_, *sizes) = network(arguments, arguments.compile)
    known = arguments.compile in models.list()
    batch = train.recipe(arguments.compile).batch_size if known else _BATCH
    return (
        "import minitorch_cnn\n"
        "from minitorch_cnn import models, nn, train\n\n"
        f"model = nn.fuse({model})\n"
        f"count = minitorch_cnn.compile(model, {(batch, *sizes)}, progress=train.Reporter().compiled)\n"
    )


def _code(arguments):
    if arguments.compile is not None:
        return _compile_code(arguments)
    return (
        "from minitorch_cnn import train\n"
        "from minitorch_cnn.diagnose import measure\n\n"
        "print(train.environment())\n"
        "print(measure.matmul_gflops(), 'GFLOP/s', measure.memory_gbytes(), 'GB/s')\n"
        "for recipe in train.RECIPES.values():\n"
        "    if not recipe.name.startswith('transfer'):\n"
        "        print(recipe.name, measure.forecast(recipe, measure.step_seconds(recipe)), 'seconds')\n"
    )
