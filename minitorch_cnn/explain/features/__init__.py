"""What the units of a network respond to: filters, feature maps, patches, attribution."""
