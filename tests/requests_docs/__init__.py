"""What requests' documentation shows, done after ``import client as requests``: one file a page section, our own words."""
