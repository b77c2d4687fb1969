"""``coterie topology``: the nodes' levels and domains, as their labels show them."""

from __future__ import annotations

from scheduler.cli.common import ClusterFiles, ConfigFile, Format, Html, Kubeconfig, Output, emit, errors, say, write_file


def topology(
    cluster: ClusterFiles = None, kubeconfig: Kubeconfig = None, output: Output = Format.table, html: Html = None, config: ConfigFile = None
) -> None:
    """Show the topology that the nodes' labels tell: levels, domains, what is missing or contradictory.

    Example: coterie topology --cluster fixtures/clusters/demo.yaml
    """
    with errors(output):
        from scheduler.cli.sources import cluster_documents
        from scheduler.config import load
        from scheduler.dryrun import observe
        from scheduler.render import html as page
        from scheduler.render import text
        from scheduler.topology_report import topology_report

        snapshot = observe(tuple(cluster_documents(cluster, kubeconfig)), load(config).custom_levels)
        report = topology_report(snapshot)
        if output is Format.table:
            text.print_topology(report, snapshot)
        else:
            emit(report.model_dump(mode="json", by_alias=True), output)
        if html is not None:
            write_file(html, page.topology_page(report, snapshot))
            say(f"wrote {html}")
