"""From untrusted bytes to a diagnosis: intake, gate, registry, classifier, batch. No tensorflow in here."""
