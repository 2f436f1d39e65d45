// The one text that is compiled: networks, and soft labels.
#include "labels.h"
#include "network.h"
