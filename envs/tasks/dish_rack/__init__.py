"""DishRack: clear plates and cups from a table into a dish rack."""
