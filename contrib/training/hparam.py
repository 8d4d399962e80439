"""`tf.contrib.training.HParams`: hyperparameters with names and types.

Names, signatures and messages follow TensorFlow 1.3 to 1.15. The protocol buffer `HParamDef` left
with contrib, so `to_proto` and `from_proto` are not here.
"""

import json
import numbers
import re

# One assignment: `name=value`, `name[index]=value` or `name=[value,value]`.
_ASSIGNMENT = re.compile(
    r"(?P<name>[a-zA-Z][\w.]*)(\[\s*(?P<index>\d+)\s*\])?\s*=\s*"
    r"(\[(?P<values>[^\]]*)\]|(?P<value>[^,\[]*))($|,\s*)"
)
_BOOLS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


class HParams:
    """Hyperparameters as attributes (blog: "an HParams object").

    A hyperparameter keeps the type of its first value: an int, a float, a bool, a string, or a list
    of one of these types.
    """

    def __init__(self, hparam_def=None, model_structure=None, **kwargs):
        """Takes the hyperparameters as keywords, such as `HParams(learning_rate=0.1)`.

        Raises:
          ValueError: a name is reserved, or a list is empty.
        """
        assert hparam_def is None, "HParamDef left with tf.contrib; pass names and values"
        self._hparam_types = {}  # name: (type, whether it is a list)
        self._model_structure = model_structure
        for name, value in kwargs.items():
            self.add_hparam(name, value)

    def add_hparam(self, name, value):
        """Adds a hyperparameter; its type is the type of the value.

        Raises:
          ValueError: the name is reserved, or the value is an empty list.
        """
        if getattr(self, name, None) is not None:
            raise ValueError(f"Hyperparameter name is reserved: {name}")
        is_list = isinstance(value, (list, tuple))
        if is_list and not value:
            raise ValueError(f"Multi-valued hyperparameters cannot be empty: {name}")
        self._hparam_types[name] = (type(value[0] if is_list else value), is_list)
        setattr(self, name, value)

    def set_hparam(self, name, value):
        """Sets a hyperparameter.

        Raises:
          KeyError: there is no such hyperparameter.
          ValueError: the value has another type.
        """
        hparam_type, is_list = self._hparam_types[name]
        if isinstance(value, list) != is_list:
            kind = "Must pass a list for multi" if is_list else "Must not pass a list for single"
            raise ValueError(f"{kind}-valued parameter: {name}")
        if is_list:
            value = [_cast(name, hparam_type, element) for element in value]
        else:
            value = _cast(name, hparam_type, value)
        setattr(self, name, value)

    def del_hparam(self, name):
        """Removes a hyperparameter, if it is there."""
        if name in self._hparam_types:
            delattr(self, name)
            del self._hparam_types[name]

    def parse(self, values):
        """Sets the hyperparameters of a string such as "learning_rate=0.1,layers=[64,32]".

        Returns:
          This object.

        Raises:
          ValueError: a name is unknown, or a value has another type.
        """
        types = {name: hparam_type for name, (hparam_type, _) in self._hparam_types.items()}
        return self.override_from_dict(parse_values(values, types))

    def override_from_dict(self, values_dict):
        """Sets the hyperparameters of a dict; returns this object. Raises as `set_hparam`."""
        for name, value in values_dict.items():
            self.set_hparam(name, value)
        return self

    set_from_map = override_from_dict  # the name before TensorFlow 1.4

    def parse_json(self, values_json):
        """Sets the hyperparameters of a JSON object; returns this object."""
        return self.override_from_dict(json.loads(values_json))

    def values(self):
        """Returns `{name: value}`."""
        return {name: getattr(self, name) for name in self._hparam_types}

    def get(self, key, default=None):
        """Returns the value of `key`, or `default` if there is no such hyperparameter.

        Raises:
          ValueError: `default` has another type.
        """
        if key not in self._hparam_types:
            return default
        hparam_type, is_list = self._hparam_types[key]
        if default is not None:
            if isinstance(default, list) != is_list:
                raise ValueError(f"Hparam '{key}' is incompatible with default={default}")
            for element in default if is_list else [default]:
                _cast(key, hparam_type, element)
        return getattr(self, key)

    def to_json(self, indent=None, separators=None, sort_keys=False):
        """Returns a JSON object; `parse_json` reads it."""
        return json.dumps(self.values(), indent=indent, separators=separators, sort_keys=sort_keys)

    def set_model_structure(self, model_structure):
        self._model_structure = model_structure

    def get_model_structure(self):
        return self._model_structure

    def __contains__(self, key):
        return key in self._hparam_types

    def __str__(self):
        return ",".join(f"{name}={value}" for name, value in self.values().items())

    def __repr__(self):
        return f"{type(self).__name__}({sorted(self.values().items())})"


def parse_values(values, type_map, ignore_unknown=False):
    """Parses a string of assignments, such as "x=5,layers=[1,2],rates[1]=3".

    Args:
      values: the string.
      type_map: `{name: type}`.
      ignore_unknown: whether names that are not in `type_map` are left out.

    Returns:
      `{name: value}`: a value, a list of values, or `{index: value}`.

    Raises:
      ValueError: an assignment cannot be parsed, a name is unknown, or a name is assigned twice.
    """
    parsed, position = {}, 0
    while position < len(values):
        match = _ASSIGNMENT.match(values, position)
        if not match:
            raise ValueError(f"Malformed hyperparameter value: {values[position:]}")
        position = match.end()
        name, index = match["name"], match["index"]
        if name not in type_map:
            if ignore_unknown:
                continue
            raise ValueError(f"Unknown hyperparameter type for {name}")
        if match["values"] is not None and index is not None:
            raise ValueError("Assignment of a list to a list index.")
        try:
            if match["values"] is None:
                value = _from_text(type_map[name], match["value"])
            else:
                elements = re.split("[ ,]+", match["values"].strip(" ,"))
                value = [_from_text(type_map[name], text) for text in elements if text]
        except (KeyError, ValueError):
            raise ValueError(
                f"Could not parse hparam '{name}' of type '{type_map[name].__name__}' "
                f"with value '{match['value'] or match['values'] or ''}' in {values}"
            ) from None
        if index is not None:
            elements = parsed.setdefault(name, {})
            name = name if not isinstance(elements, dict) else f"{name}[{int(index)}]"
            if not isinstance(elements, dict) or int(index) in elements:
                raise ValueError(f"Multiple assignments to variable '{name}' in {values}")
            elements[int(index)] = value
        elif name in parsed:
            raise ValueError(f"Multiple assignments to variable '{name}' in {values}")
        else:
            parsed[name] = value
    return parsed


def _from_text(hparam_type, text):
    return _BOOLS[text] if hparam_type is bool else hparam_type(text)


def _cast(name, hparam_type, value):
    """Returns the value as `hparam_type`: an int may become a float, nothing else may change."""
    if type(value) is hparam_type or hparam_type is type(None):
        return value
    kinds = {str: (str, bytes), bytes: (str, bytes), int: numbers.Integral, float: numbers.Number}
    kind = next((kinds[key] for key in kinds if issubclass(hparam_type, key)), hparam_type)
    if isinstance(value, bool) != issubclass(hparam_type, bool) or not isinstance(value, kind):
        raise ValueError(f"Could not cast hparam '{name}' of type '{hparam_type}' from {value!r}")
    return hparam_type(value)
