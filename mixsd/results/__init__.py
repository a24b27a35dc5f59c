"""From scores to results, tables, figures and pages; loads without torch."""
