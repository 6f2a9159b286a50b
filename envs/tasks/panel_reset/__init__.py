"""PanelReset: the button below the lamp that shows a fault."""
