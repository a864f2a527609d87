"""`helixlm doctor`: shows whether this machine gives the right numbers."""

import typer


def doctor() -> None:
    """Show versions and devices, and check the numbers this machine gives.

    Example: helixlm doctor
    """
    from helixlm.pipeline.doctor import examine

    checks = examine()
    width = max(len(check.name) for check in checks)
    for check in checks:
        sign = "ok" if check.passed else "FAIL" if check.needed else "note"
        typer.echo(f"{sign:<4}  {check.name:<{width}}  {check.found}")
    for check in checks:
        if not check.passed and not check.needed:
            typer.echo(f"note: {check.name}: {check.advice}")
    failed = [check for check in checks if not check.passed and check.needed]
    if failed:
        typer.echo(f"{len(failed)} check(s) failed; what to do:")
        for check in failed:
            typer.echo(f"  {check.name}: {check.advice}")
        raise typer.Exit(1)
    typer.echo("All is well. Next: helixlm demo -o demo")
