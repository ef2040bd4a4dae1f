curves_svg = None
